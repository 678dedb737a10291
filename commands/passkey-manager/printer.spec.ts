import { describe, expect, it } from '@jest/globals';
import { formatTime, Printer } from './printer.js';
import { makeJsonVisible, makeVisible } from './visible.js';

function print(format: 'table' | 'json', show: (printer: Printer) => void): { out: string; err: string } {
  const written = { out: '', err: '' };
  const stdout = { write: (text: string) => (written.out += text) };
  const stderr = { write: (text: string) => (written.err += text) };
  show(new Printer(format, { stdout, stderr, env: {}, onInterrupt: () => () => undefined }));
  return written;
}

describe('a text of others', () => {
  it.each([
    ['\u001b[31mred', '\\u{1b}[31mred'],
    ['a\u009b2Jb', 'a\\u{9b}2Jb'],
    ['two\r\nlines\tand a tab', 'two\\u{d}\\u{a}lines\\u{9}and a tab'],
    ['user\u202egnp.exe', 'user\\u{202e}gnp.exe'],
    ['\u2066a\u2069', '\\u{2066}a\\u{2069}'],
    ['ad\u200ba', 'ad\\u{200b}a'],
    ['\ufeffada', '\\u{feff}ada'],
    ['\u{e0041}', '\\u{e0041}'],
    ['\ud800', '\\u{d800}'],
    ['Grüße, 你好, ключ 🔑', 'Grüße, 你好, ключ 🔑'],
  ])('%j is shown as %s', (text, shown) => {
    expect(makeVisible(text)).toBe(shown);
  });

  it.each(['\u202e', '\u009b', '\u{e0041}', '\u007f', 'Grüße 🔑', 'a\nb'])(
    'is the same text in JSON after its characters are escaped: %j',
    (text) => {
      const json = makeJsonVisible(JSON.stringify({ text }, null, 2));
      expect(JSON.parse(json)).toEqual({ text });
      expect(makeVisible(json.replaceAll('\n', ''))).toBe(json.replaceAll('\n', ''));
    },
  );
});

describe('a table', () => {
  const entries = [
    { id: 'a', uses: 1_234, name: 'first' },
    { id: 'longer', uses: 0, name: null },
  ];
  const columns = {
    id: ({ id }: (typeof entries)[number]) => id,
    uses: ({ uses }: (typeof entries)[number]) => uses,
    name: ({ name }: (typeof entries)[number]) => name,
  };

  it('has a title and a width for each column, and no spaces at the ends of lines', () => {
    const { out } = print('table', (printer) => {
      printer.showList(entries, columns, 'none');
    });
    expect(out).toBe('ID      USES   NAME\na       1,234  first\nlonger  0      -\n');
  });

  it('is a list in JSON, also an empty one', () => {
    const show = (list: typeof entries) =>
      print('json', (printer) => {
        printer.showList(list, columns, 'none');
      });
    expect(JSON.parse(show(entries).out)).toEqual(entries);
    expect(show([])).toEqual({ out: '[]\n', err: '' });
  });

  it('of nothing says so beside standard output', () => {
    const written = print('table', (printer) => {
      printer.showList([], columns, 'There is none.');
    });
    expect(written).toEqual({ out: '', err: 'There is none.\n' });
  });
});

it('a time is shown in UTC to the second', () => {
  expect(formatTime('2026-03-01T10:30:00.123+01:00')).toBe('2026-03-01 09:30:00Z');
  expect(formatTime(null)).toBeNull();
});
