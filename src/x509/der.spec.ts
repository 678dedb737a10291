import { describe, expect, it } from '@jest/globals';
import { readChildren, DER, readElement, formatInteger, readTime, readWholeSequence } from './der.js';

const bytes = (hexadecimal: string): Buffer => Buffer.from(hexadecimal.replaceAll(' ', ''), 'hex');

describe('an element (X.690 §8.1)', () => {
  it.each<[string, string, object]>([
    ['of nothing', '30 00', { tag: 0x30, start: 0, content: 2, end: 2 }],
    ['with a length of one octet', `04 7f ${'00'.repeat(127)}`, { tag: 0x04, start: 0, content: 2, end: 129 }],
    ['with a length of two', `04 81 80 ${'00'.repeat(128)}`, { tag: 0x04, start: 0, content: 3, end: 131 }],
    ['with a length of five', `04 84 00000002 0000`, { tag: 0x04, start: 0, content: 6, end: 8 }],
    ['with others behind it', '02 01 05 02 01 06', { tag: 0x02, start: 0, content: 2, end: 3 }],
  ])('%s is read', (_, hexadecimal, element) => {
    expect(readElement(bytes(hexadecimal), 0, bytes(hexadecimal).length)).toEqual(element);
  });

  it.each([
    ['nothing', ''],
    ['a tag alone', '30'],
    ['less than its length', '04 03 0000'],
    ['a length that is cut off', '04 82 00'],
    ['a length of six octets', '04 85 0000000001 00'],
    ['no length, to be ended by two zeros as BER allows', `30 80 ${'00'.repeat(200)}`],
  ])('that is %s is malformed', (_, hexadecimal) => {
    expect(() => readElement(bytes(hexadecimal), 0, bytes(hexadecimal).length)).toThrow('it is not valid DER');
  });

  it('lies within its parent, whatever comes behind it', () => {
    const der = bytes('04 02 0000 0000');
    expect(readElement(der, 0, 4)).toMatchObject({ end: 4 });
    for (const limit of [0, 1, 2, 3]) expect(() => readElement(der, 0, limit)).toThrow('it is not valid DER');
    const long = bytes('04 82 0001 00');
    for (const limit of [1, 2, 3, 4]) expect(() => readElement(long, 0, limit)).toThrow('it is not valid DER');
  });
});

describe('a sequence', () => {
  it('has the elements that fill it', () => {
    expect(readWholeSequence(bytes('30 06 02 01 05 04 01 06')).map(({ tag }) => tag)).toEqual([
      DER.integer,
      DER.octetString,
    ]);
    expect(readWholeSequence(bytes('30 00'))).toEqual([]);
  });

  it.each([
    ['another element', '31 00'],
    ['followed by a byte', '30 00 00'],
    ['not filled by whole elements', '30 04 02 01 05 04'],
    ['shorter than its last element', '30 02 02 01 05'],
  ])('is refused where it is %s', (_, hexadecimal) => {
    expect(() => readWholeSequence(bytes(hexadecimal))).toThrow('it is not valid DER');
  });

  it('is not read beyond', () => {
    const der = bytes('30 03 02 01 05 02 01 06');
    expect(readChildren(der, readElement(der, 0, der.length))).toHaveLength(1);
  });
});

describe('an INTEGER is shown as tools show it', () => {
  it.each([
    ['00', '0'],
    ['05', '5'],
    ['0f', 'f'],
    ['10', '10'],
    ['11', '11'],
    ['7f', '7f'],
    ['00 80', '80'],
    ['00 00 05', '5'],
    ['01 02 03', '10203'],
    ['00 ff ff', 'ffff'],
    ['80', '-80'],
    ['ff', '-1'],
    ['ff 00', '-100'],
  ])('%s: %s', (content, text) => {
    const der = bytes(content);
    expect(formatInteger(der, { tag: DER.integer, start: 0, content: 0, end: der.length })).toBe(text);
  });

  it('and is refused without content', () => {
    expect(() => formatInteger(bytes('02 00'), { tag: DER.integer, start: 0, content: 2, end: 2 })).toThrow(
      'it is not valid DER',
    );
  });
});

describe('a time (RFC 5280 §4.1.2.5)', () => {
  const read = (tag: number, text: string): Date =>
    readTime(Buffer.from(text, 'latin1'), { tag, start: 0, content: 0, end: text.length });

  it.each([
    [DER.utcTime, '260630123456Z', '2026-06-30T12:34:56.000Z'],
    [DER.utcTime, '491231235959Z', '2049-12-31T23:59:59.000Z'],
    [DER.utcTime, '500101000000Z', '1950-01-01T00:00:00.000Z'],
    [DER.generalizedTime, '20500101000000Z', '2050-01-01T00:00:00.000Z'],
    [DER.generalizedTime, '99991231235959Z', '9999-12-31T23:59:59.000Z'],
  ])('of tag %i, %s, is %s', (tag, text, time) => {
    expect(read(tag, text).toISOString()).toBe(time);
  });

  it.each([
    [DER.utcTime, ''],
    [DER.utcTime, '2606301234Z'],
    [DER.utcTime, '260630123456'],
    [DER.utcTime, '260630123456+0200'],
    [DER.utcTime, '20260630123456Z'],
    [DER.generalizedTime, '260630123456Z'],
    [DER.generalizedTime, '20260630123456.5Z'],
    [DER.generalizedTime, '120260630123456Z'],
    [DER.generalizedTime, '20260630123456Z0'],
    [DER.generalizedTime, '20261330123456Z'],
    [DER.generalizedTime, '2026063012345xZ'],
  ])('of tag %i, "%s", is malformed', (tag, text) => {
    expect(() => read(tag, text)).toThrow('it is not valid DER');
  });
});
