import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DumpError, MAX_ROW_BYTES, type Row, type RowFault } from './row.js';
import { readRows } from './rows.js';

/** Gives a text in chunks of some bytes. */
async function* chunksOf(text: string | Buffer, bytes: number): AsyncGenerator<Buffer> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += bytes) yield await Promise.resolve(all.subarray(at, at + bytes));
}

/** Reads a dump. @returns a row as `line: column=value …`, a fault as `line! fault` */
async function read(text: string | Buffer, bytes = 7): Promise<string[]> {
  const show = (row: Row | RowFault): string =>
    'fault' in row
      ? `${String(row.line)}! ${row.fault}`
      : `${String(row.line)}: ${[...row.cells].map(([name, { values }]) => `${name}=${values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join('|')}`).join(' ')}`;
  return (await collect(text, bytes)).map(show);
}

async function collect(text: string | Buffer, bytes: number): Promise<(Row | RowFault)[]> {
  const rows: (Row | RowFault)[] = [];
  for await (const row of readRows(chunksOf(text, bytes), () => undefined)) rows.push(row);
  return rows;
}

describe('a dump in CSV', () => {
  it.each([
    ['as psql writes it', 'a,B_c\n1,"x, ""y"""\n2,\n', ['2: a=1 bc=x, "y"', '3: a=2 bc=']],
    ['with CRLF', 'a,b\r\n1,2\r\n', ['2: a=1 b=2']],
    ['with a byte order mark', '\ufeffa,b\n1,2\n', ['2: a=1 b=2']],
    ['without a line end at its end', 'a,b\n1,2', ['2: a=1 b=2']],
    ['with line ends in quotes', 'a,b\n"1\n2\r\n3",4\n5,6\n', ['2: a=1\n2\r\n3 b=4', '5: a=5 b=6']],
    ['with empty lines', 'a,b\n\n1,2\n\n', ['3: a=1 b=2']],
    ['with \\N for NULL', 'a,b\n\\N,2\n', ['2: a= b=2']],
    ['with two columns whose names are alike', 'user_id,userId\n1,2\n', ['2: userid=1|2']],
    ['without rows', 'a,b\n', []],
  ])('%s gives its rows with their lines', async (_, text, rows) => {
    for (const bytes of [1, 2, 7, 10_000]) expect(await read(text, bytes)).toEqual(rows);
  });

  it.each([
    [
      'a quote that never ends',
      'a,b\n1,"2\n3,4\n5,"6,6"\n',
      ['2! a quote in it does not end', '3: a=3 b=4', '4: a=5 b=6,6'],
    ],
    [
      'a quote too many, before rows with quotes',
      'a,b\n1,"2\n3,4\n"5\n5",6\n',
      ['2! is not CSV (invalid closing quote)', '3: a=3 b=4', '4: a=5\n5 b=6'],
    ],
    ['a quote inside a value', 'a,b\n1,x"y"\n3,4\n', ['2! is not CSV (invalid opening quote)', '3: a=3 b=4']],
    ['something after a quote', 'a,b\n1,"x"y"z"\n3,4\n', ['2! is not CSV (invalid closing quote)', '3: a=3 b=4']],
    [
      'a value too few or too many',
      'a,b\n1\n1,2,3\n3,4\n',
      ['2! has 1 columns, and the first line 2', '3! has 3 columns, and the first line 2', '4: a=3 b=4'],
    ],
  ])('%s costs one line, which is named', async (_, text, rows) => {
    for (const bytes of [1, 3, 10_000]) expect(await read(text, bytes)).toEqual(rows);
  });

  /** Some lines of three values each, as psql writes them. */
  const quote = (value: string): string => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const VALUES = fc.tuple(
    fc.string({ unit: fc.constantFrom('a', 'é', '"', ',', '\n', '\r\n', ' ') }),
    fc.nat(),
    fc.boolean(),
  );
  const write = (rows: readonly (readonly unknown[])[]): string[] =>
    rows.map((values, index) => [String(index), ...values.map(String)].map(quote).join(','));

  it('gives back whatever was written, in chunks of any length', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(VALUES), fc.integer({ min: 1, max: 50 }), async (rows, bytes) => {
        const read = await collect(`n,a,b,c\n${write(rows).join('\n')}\n`, bytes);
        expect(
          read.map((row) => ('fault' in row ? row : [...row.cells.values()].map(({ values }) => values[0]))),
        ).toEqual(rows.map((values, index) => [String(index), ...values.map(String)]));
      }),
    );
  });

  it('loses no other row to a quote too many, wherever it stands', async () => {
    const line = VALUES.map(([text, ...others]) => [text.replace(/[\r\n]/g, ''), ...others]);
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1 }), fc.nat(), fc.nat(), async (rows, which, where) => {
        const lines = write(rows);
        const damaged = which % lines.length;
        const at = where % (lines[damaged]!.length + 1);
        lines[damaged] = `${lines[damaged]!.slice(0, at)}"${lines[damaged]!.slice(at)}`;
        const read = await collect(`n,a,b,c\n${lines.join('\n')}\n`, 64);
        expect(read.filter((row) => 'fault' in row)).toMatchObject([{ line: damaged + 2 }]);
        expect(read).toHaveLength(rows.length);
      }),
    );
  });

  it('names a line that is too long, in and out of quotes, and goes on', async () => {
    const long = 'x'.repeat(MAX_ROW_BYTES);
    expect(await read(`a,b\n1,${long}\n3,4\n`, 65_536)).toEqual(['2! is longer than 256 KiB', '3: a=3 b=4']);
    expect(await read(`a,b\n"1,${long}\n3,4\n`, 65_536)).toEqual(['2! is longer than 256 KiB', '3: a=3 b=4']);
    const lines = `${'x'.repeat(1_000)}\n`.repeat(300);
    const rows = await read(`a,b\n"1,${lines}3,4\n`, 65_536);
    expect(rows[0]).toBe('2! a quote in it does not end');
    expect(rows.at(-1)).toBe('302: a=3 b=4');
  });

  it('names a row that is not UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('a,b\n1,'), Buffer.of(0xff), Buffer.from('\n3,4\n')]);
    expect(await read(bytes)).toEqual(['2! is not UTF-8', '3: a=3 b=4']);
  });

  it.each([
    ['is empty', ''],
    ['has a header that is not CSV', 'a,"b\n1,2\n'],
    ['is UTF-16', Buffer.from('\ufeffa,b\n', 'utf16le')],
  ])('that %s is refused as a whole', async (_, text) => {
    await expect(read(text)).rejects.toThrow(DumpError);
  });
});

describe('a dump in JSON', () => {
  const rows = ['1: a=1 b={"c":[1,"}"]}', '2: a=2 b=x"{'];
  const [first, second] = ['{"a":1,"b":{"c":[1,"}"]}}', '{"a":2,"b":"x\\"{"}'];

  it.each([
    ['an array', `[${first},\n${second}]\n`, rows],
    ['an array with a byte order mark', `\ufeff[${first},\r\n ${second}]`, rows],
    ['JSON lines', `${first}\n${second}\n`, rows],
    ['objects over several lines', '{\n  "a": [\n    1\n  ]\n}\n{\n  "a": 2\n}\n', ['1: a=[1]', '6: a=2']],
    ['an empty array', '[]', []],
  ])('as %s gives its rows with their lines', async (_, text, expected) => {
    for (const bytes of [1, 5, 10_000]) expect(await read(text, bytes)).toEqual(expected);
  });

  it.each([
    ['an object that does not end', '{"a":1\n{"a":2}\n', ['1! is not JSON: an object does not end', '2: a=2']],
    ['a text that does not end', '{"a":"1}\n{"a":2}\n', ['1! is not JSON: an object does not end', '2: a=2']],
    ['an object that is no JSON', '[{a:1},\n{"a":2}]', ['1! is not JSON', '2: a=2']],
    [
      'something between the objects',
      '{"a":1}\nnull null\n{"a":2}\n',
      ['1: a=1', '2! has something that is no JSON object', '3: a=2'],
    ],
    [
      'an object that is too long',
      `[{"a":"${'x'.repeat(MAX_ROW_BYTES)}"},\n{"a":2}]`,
      ['1! is longer than 256 KiB', '2: a=2'],
    ],
    ['the end in an object', '{"a":1}\n{"a":2', ['1: a=1', '2! is not JSON: an object does not end']],
  ])('with %s loses that row alone, and names it', async (_, text, expected) => {
    for (const bytes of [3, 65_536]) expect(await read(text, bytes)).toEqual(expected);
  });
});
