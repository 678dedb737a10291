import { PassThrough, Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { type Line, readLines } from './line-body.js';
import { Problem } from './problem.js';

const LIMITS = { firstLine: 1, maxLine: 10, signal: new AbortController().signal };

async function read(
  body: Readable,
  limits: Partial<Parameters<typeof readLines>[1]> = {},
): Promise<[number, string | undefined][]> {
  const lines: Line[] = [];
  for await (const some of readLines(body, { ...LIMITS, ...limits })) lines.push(...some);
  return lines.map(({ number, bytes }) => [number, bytes?.toString('latin1')]);
}

const TEXT = 'one\ntwo\r\n\n \t\nfour\r five\n0123456789\n0123456789\r\n0123456789a\nlast';
const LINES = [
  [1, 'one'],
  [2, 'two'],
  [5, 'four\r five'],
  [6, '0123456789'],
  [7, '0123456789'],
  [8, undefined],
  [9, 'last'],
];

describe('the lines of a body', () => {
  it.each(Array.from({ length: TEXT.length }, (_, at) => at))(
    'are the same where the body is cut at byte %d',
    async (at) => {
      const pieces = [Buffer.from(TEXT.slice(0, at)), Buffer.from(TEXT.slice(at))].filter(({ length }) => length > 0);
      expect(await read(Readable.from(pieces, { objectMode: false }))).toEqual(LINES);
    },
  );

  it('are the same where every byte comes alone', async () => {
    expect(
      await read(
        Readable.from(
          Array.from(TEXT, (byte) => Buffer.from(byte)),
          { objectMode: false },
        ),
      ),
    ).toEqual(LINES);
  });

  it('are counted from where the caller says', async () => {
    expect(await read(Readable.from([Buffer.from('\na\n')]), { firstLine: 7 })).toEqual([[8, 'a']]);
  });

  it('are handed over as they come', async () => {
    const body = new PassThrough();
    const lines = readLines(body, LIMITS);
    body.write('one\ntw');
    expect((await lines.next()).value).toMatchObject([{ number: 1 }]);
    body.end('o\n');
    expect((await lines.next()).value).toMatchObject([{ number: 2 }]);
    expect((await lines.next()).done).toBe(true);
  });

  it('keep nothing of a line that is too long', async () => {
    const piece = Buffer.alloc(65_536, 120);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const body = Readable.from(
      (function* () {
        for (let n = 0; n < 2_000; n += 1) {
          most = Math.max(most, process.memoryUsage().arrayBuffers - before);
          yield piece;
        }
      })(),
    );
    expect(await read(body)).toEqual([[1, undefined]]);
    expect(most).toBeLessThan(32 * 1_048_576);
  });

  it('let others have their turn where there is nothing in them', async () => {
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    expect(await read(Readable.from([Buffer.alloc(262_144, 10), Buffer.from('last')]))).toEqual([[262_145, 'last']]);
    clearImmediate(next);
    expect(turns).toBeGreaterThan(200);
  });

  it('end with a problem if no piece arrives in time, or the wait is ended', async () => {
    const late = read(new PassThrough(), { patience: 30 });
    await expect(late).rejects.toMatchObject({ slug: 'request-malformed' });
    const stop = new AbortController();
    const stopped = read(new PassThrough(), { signal: stop.signal });
    stop.abort(new Problem('unavailable'));
    await expect(stopped).rejects.toMatchObject({ slug: 'unavailable' });
    await expect(read(new PassThrough(), { signal: stop.signal })).rejects.toMatchObject({ slug: 'unavailable' });
  });
});
