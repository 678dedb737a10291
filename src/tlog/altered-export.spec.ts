import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ExportError } from './lines.js';
import { formatErased, formatMissing } from './export-lines.js';
import { SampleLog } from '../../test/support/sample-log.js';
import { verifyExport } from './export-verifier.js';

const KEYS = SampleLog.SIGNERS.map(({ key }) => key);
const findFault = async (lines: readonly string[]): Promise<ExportError> => {
  const chunks = Readable.from([Buffer.from(lines.join(''))]);
  const fault = await verifyExport(chunks, KEYS).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(ExportError);
  return fault as ExportError;
};
const SIZE = 600;
const LOG = new SampleLog(SIZE);
const CHECKPOINT = await LOG.makeCheckpoint(SIZE);
const FULL = await LOG.export(0, SIZE, CHECKPOINT, SIZE);
const PART = await LOG.export(100, 400, CHECKPOINT, SIZE);

describe('an altered export file', () => {
  /** One change, and the first line that does not verify after it, from 1. */
  type Alteration = (lines: readonly string[], at: number, other: number) => [string[], number];
  const EDITS: Record<string, Alteration> = {
    'an event edited': (lines, at) => [lines.with(at, lines[at]!.replace('"time":1', '"time":2')), at + 1],
    'a leaf hash edited': (lines, at) => [
      lines.with(
        at,
        lines[at]!.replace(/"leafHash":"./, (m) => m.slice(0, -1) + (m.endsWith('A') ? 'B' : 'A')),
      ),
      at + 1,
    ],
    'a line deleted': (lines, at) => [lines.toSpliced(at, 1), at + 1],
    'a line doubled': (lines, at) => [lines.toSpliced(at, 0, lines[at]!), at + 2],
    'a line of elsewhere inserted': (lines, at, other) => [
      lines.toSpliced(at, 0, lines[other]!),
      (at === other ? at + 1 : at) + 1,
    ],
    'two lines exchanged': (lines, at, other) => [
      lines.with(at, lines[other]!).with(other, lines[at]!),
      Math.min(at, other) + 1,
    ],
    'the rest cut off': (lines, at) => [lines.slice(0, at), at + 1],
    'the rest cut off within a line': (lines, at) => [[...lines.slice(0, at), lines[at]!.slice(0, 50)], at + 1],
    'an event taken for an erased one of another leaf': (lines, at, other) => [
      lines.with(at, formatErased(at, { leafHash: LOG.leaves[other]! })),
      at + 1,
    ],
    'the line emptied': (lines, at) => [lines.with(at, '\n'), at + 1],
  };

  it.each(Object.keys(EDITS))('is caught and located: %s', async (name) => {
    const places = fc.tuple(fc.nat(SIZE - 1), fc.nat(SIZE - 1));
    await fc.assert(
      fc.asyncProperty(places, async ([at, other]) => {
        if (at === other && /exchanged|another/.test(name)) return;
        const [lines, line] = EDITS[name]!(FULL, at, other);
        const fault = await findFault(lines);
        expect(fault.line).toBeLessThanOrEqual(line);
        expect(fault.lastLine).toBeGreaterThanOrEqual(line);
        const located = name.includes('another') ? 256 : 2;
        if (at < 512 && at % 256 !== 255) expect(fault.lastLine! - fault.line!).toBeLessThan(located);
      }),
      { numRuns: 40 },
    );
  });

  it('is caught, whichever bit of it differs', async () => {
    const text = Buffer.from(PART.join(''));
    await fc.assert(
      fc.asyncProperty(fc.nat(text.length * 8 - 1), async (bit) => {
        const other = Buffer.from(text);
        other[bit >> 3]! ^= 1 << (bit & 7);
        const fault = await verifyExport(Readable.from([other]), KEYS).then(
          () => null,
          (error: unknown) => error,
        );
        const line = text.subarray(0, bit >> 3).filter((byte) => byte === 10).length + 1;
        expect(fault).toBeInstanceOf(ExportError);
        expect((fault as ExportError).line).toBeLessThanOrEqual(line);
      }),
      { numRuns: 300 },
    );
  });

  const edit = (at: number, from: string | RegExp, to: string) => FULL.with(at, FULL[at]!.replace(from, to));
  const proof = (change: object) =>
    FULL.with(-1, `${JSON.stringify({ ...(JSON.parse(FULL.at(-1)!) as object), ...change })}\n`);
  const REFUSAL = '{"type":"urn:passkey-manager:problem:permission-denied","title":"The caller lacks the permission"}';
  it.each([
    ['nothing in it', [], 1, 'the file is empty'],
    ['no proof', FULL.slice(0, -1), SIZE + 1, 'without the proof'],
    ['a refusal in it', [REFUSAL], 1, 'is no line of an export: the service refused to export, as permission-denied'],
    ['a name twice in an event', edit(9, '{"metadata"', '{"time":1,"metadata"'), 10, 'twice'],
    ['a name twice in a line', edit(9, '"leafIndex":9', '"leafIndex":8,"leafIndex":9'), 10, 'twice'],
    ['a member that proves nothing', edit(9, '"leafIndex":9', '"leafIndex":9,"note":"fine"'), 10, '"note"'],
    ['a member missing', edit(9, '"leafIndex":9,', ''), 10, 'lacks leafIndex'],
    ['a kind that there is not', edit(9, 'event', 'other'), 10, 'is not an event, an erased event or the proof'],
    [
      'an event that is missing',
      FULL.with(9, formatMissing(9, { leafHash: LOG.leaves[9]! }, '')),
      10,
      'no archive has it',
    ],
    [
      'a stored hash that is missing',
      FULL.with(255, formatErased(255, { leafHash: LOG.leaves[255]!, subtreeMissing: true })),
      256,
      'is gone',
    ],
    ['a malformed event', edit(9, /"event":.*/, '"event":"text"}'), 10, 'not an object'],
    ['a leaf index in words', edit(9, '"leafIndex":9', '"leafIndex":"9"'), 10, 'not a count'],
    [
      'a stored hash of leaves that are not all there',
      FULL.with(9, formatErased(9, { leafHash: LOG.leaves[9]!, subtree: LOG.subtrees[0] })),
      10,
      'does not complete them',
    ],
    ['a time with loose digits', edit(9, /("time":\d+)/, '$1.00000001'), 10, 'number'],
    ['a lone surrogate', edit(9, '😀', '\\ud83d'), 10, 'canonical'],
    ['a list for a line', FULL.with(9, '[]\n'), 10, 'not an object'],
    ['a malformed event id', FULL.with(9, formatErased(9, { leafHash: LOG.leaves[9]! }, 'x')), 10, 'UUIDv7'],
    ['a line of more than 1 MiB', FULL.with(9, `{"kind":"${'x'.repeat(2 ** 20)}"}\n`), 10, '1 MiB'],
    ['no newline for more than 1 MiB', [...FULL.slice(0, 9), 'x'.repeat(2 ** 21)], 10, '1 MiB'],
    ['the proof twice', [...FULL, FULL.at(-1)!], SIZE + 2, 'nothing may follow'],
    ['a blank line after the proof', [...FULL, '\n'], SIZE + 2, 'nothing may follow'],
    ['an event after the proof', [...FULL, FULL[0]!], SIZE + 2, 'nothing may follow'],
    ['the proof in the middle', FULL.toSpliced(9, 0, FULL.at(-1)!), 10, 'leaf 9 should be here'],
    ['the first line deleted', FULL.slice(1), 1, 'leaf 0 should be here'],
    ['a proof of another range', proof({ to: SIZE - 1 }), SIZE + 1, ''],
    ['a proof of another size', proof({ treeSize: SIZE + 1 }), SIZE + 1, 'its checkpoint is for'],
    ['a proof beyond its tree', proof({ treeSize: 3 }), SIZE + 1, 'not in its tree'],
    [
      'a proof with a hash too many',
      proof({ left: [LOG.leaves[0]!.toString('base64url')] }),
      SIZE + 1,
      'does not cover',
    ],
    ['a proof with a malformed hash', proof({ right: ['x'] }), SIZE + 1, 'a malformed hash'],
    ['a proof without hashes', proof({ right: null }), SIZE + 1, 'lacks'],
    ['a malformed checkpoint', proof({ checkpoint: 'x' }), SIZE + 1, 'blank line'],
  ])('is refused with %s', async (_, lines, line, reason) => {
    const fault = await findFault(lines);
    expect(fault.line).toBe(line);
    expect(fault.message).toContain(reason);
  });

  it('is refused when it is not UTF-8', async () => {
    const bytes = Buffer.from(FULL.join('').replace('é', '\x01'));
    bytes[bytes.indexOf(1)] = 0xff;
    const fault = await verifyExport(Readable.from([bytes]), KEYS).catch((error: unknown) => error);
    expect(fault).toMatchObject({ line: 1, message: 'line 1: is not UTF-8' });
  });
});
