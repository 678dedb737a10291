import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { readNotes } from './checkpoint-trail.js';
import { parseConsistency, toConsistencyDocument } from './proof-documents.js';
import { ExportError } from './lines.js';
import { hashLeaf } from './merkle.js';
import { makeConsistencyProof } from './proofs.js';
import { SampleLog } from '../../test/support/sample-log.js';
import { type ProvedExport, verifyExport, type VerifyOptions } from './export-verifier.js';

const KEYS = SampleLog.SIGNERS.map(({ key }) => key);
const verify = (lines: readonly string[] | string, options: VerifyOptions = {}): Promise<ProvedExport> =>
  verifyExport(Readable.from([Buffer.from(typeof lines === 'string' ? lines : lines.join(''))]), KEYS, options);
const findFault = async (lines: readonly string[] | string, options?: VerifyOptions): Promise<ExportError> => {
  const fault = await verify(lines, options).then(
    () => null,
    (error: unknown) => error,
  );
  expect(fault).toBeInstanceOf(ExportError);
  return fault as ExportError;
};
const anchored = (...notes: string[]): AsyncIterable<string>[] => [readNotes(Readable.from([notes.join('')]))];

const SIZE = 600;
const LOG = new SampleLog(SIZE);
const CHECKPOINT = await LOG.makeCheckpoint(SIZE);
const FULL = await LOG.export(0, SIZE, CHECKPOINT, SIZE);
const PART = await LOG.export(100, 400, CHECKPOINT, SIZE);
const makeOtherRoot = (size = SIZE): Promise<string> => {
  const log = new SampleLog(size);
  log.leaves[size - 1] = hashLeaf('x');
  return log.makeCheckpoint(size);
};

describe('an export that is compared with earlier checkpoints', () => {
  const consistency = async (from: number) =>
    parseConsistency(
      JSON.stringify(toConsistencyDocument(from, SIZE, await makeConsistencyProof(LOG.reader, from, SIZE))),
    );

  it('continues an older checkpoint by its own lines, when they include its size', async () => {
    for (const size of [0, 1, 255, 256, 599, 600]) await verify(FULL, { since: await LOG.makeCheckpoint(size) });
    for (const size of [100, 101, 300, 400, 600]) await verify(PART, { since: await LOG.makeCheckpoint(size) });
  });

  it('continues any older checkpoint by a consistency proof', async () => {
    for (const size of [1, 99, 300, 401, 599]) {
      await verify(PART, { since: await LOG.makeCheckpoint(size), consistency: await consistency(size) });
    }
  });

  const makeOtherLeaves = (): Promise<string> => {
    const log = new SampleLog(100);
    log.leaves.reverse();
    return log.makeCheckpoint(100);
  };

  it.each([
    [
      'no consistency proof where one is needed',
      async () => ({ since: await LOG.makeCheckpoint(99) }),
      'needs a consistency proof',
    ],
    [
      'a consistency proof of another size',
      async () => ({ since: await LOG.makeCheckpoint(99), consistency: await consistency(98) }),
      'goes from 98 to 600',
    ],
    [
      'a consistency proof of another log',
      async () => ({ since: await LOG.makeCheckpoint(99), consistency: { ...(await consistency(98)), from: 99 } }),
      'does not continue',
    ],
    [
      'an older checkpoint with a bit of its signature changed',
      async () => ({
        since: (await LOG.makeCheckpoint(99)).replace(
          /\w=+\n$/,
          (end) => (end.startsWith('A') ? 'Q' : 'A') + end.slice(1),
        ),
      }),
      'the older checkpoint',
    ],
    ['an older checkpoint of other leaves', async () => ({ since: await makeOtherLeaves() }), ''],
  ])('does not verify with %s', async (_, options: () => Promise<VerifyOptions>, reason) => {
    expect((await findFault(PART, await options())).message).toContain(reason);
  });

  it('contains every anchored checkpoint in its range, and counts older and newer ones', async () => {
    const grown = new SampleLog(SIZE + 50);
    const sizes = [0, 99, 100, 100, 250, 400, 401, SIZE];
    const notes = [
      ...(await Promise.all(sizes.map((size) => LOG.makeCheckpoint(size)))),
      await grown.makeCheckpoint(SIZE + 50),
    ];
    const part = await verify(PART, { anchored: anchored(...notes) });
    expect(part.anchored).toMatchObject({ held: 5, outside: 3, newer: 1 });
    const whole = await verify(FULL, { anchored: anchored(notes.join('\n\n')) });
    expect(whole.anchored).toMatchObject({ held: 8, outside: 0, newer: 1 });
  });

  it('reads the checkpoints of several files, such as one for each replica', async () => {
    const notes = (...sizes: number[]) => Promise.all(sizes.map((size) => LOG.makeCheckpoint(size)));
    const files = [...anchored(...(await notes(99, 250, SIZE))), ...anchored(...(await notes(100, 250)))];
    const { anchored: counts } = await verify(PART, { anchored: [...files, ...anchored()] });
    expect(counts).toMatchObject({ held: 4, outside: 1, newer: 0 });
  });

  it.each([
    ['a file that is in no order', async () => [await LOG.makeCheckpoint(300), await LOG.makeCheckpoint(299)], 'cut'],
    [
      'a file with another root',
      async () => [await makeOtherRoot(700)],
      'two checkpoints of 700 leaves have different',
    ],
    ['a torn note', () => Promise.resolve([CHECKPOINT.slice(0, 100)]), 'anchored checkpoint 1 of file 2: '],
  ])('does not verify with %s among several', async (_, notes: () => Promise<string[]>, reason) => {
    const first = anchored(await LOG.makeCheckpoint(100), await new SampleLog(700).makeCheckpoint(700));
    const fault = await findFault(PART, { anchored: [...first, ...anchored(...(await notes()))] });
    expect(fault.message).toContain(reason);
  });

  it('counts a checkpoint of more leaves as newer, even if no signature says when it was signed', async () => {
    const ed25519 = SampleLog.SIGNERS.slice(0, 1);
    const sign = (size: number): Promise<string> =>
      new SampleLog(size).makeCheckpoint(size, new Date(SampleLog.START), ed25519);
    const lines = await LOG.export(0, SIZE, await sign(SIZE), SIZE);
    const notes = anchored(await sign(SIZE), await sign(SIZE + 1), await sign(SIZE + 1), await sign(SIZE + 2));
    const keys = ed25519.map(({ key }) => key);
    const { anchored: counts } = await verifyExport(Readable.from(lines), keys, { anchored: notes });
    expect(counts).toMatchObject({ held: 1, outside: 0, newer: 3 });
  });

  it.each([
    ['one that is not signed', () => Promise.resolve([CHECKPOINT.slice(0, 100)]), 'anchored checkpoint 1'],
    [
      'one of fewer leaves than the one before it',
      async () => [await LOG.makeCheckpoint(300), await LOG.makeCheckpoint(299)],
      'the log was cut',
    ],
    ['one of this size and another root', async () => [await makeOtherRoot()], ''],
    [
      'one of more leaves, signed before the export',
      async () => [await new SampleLog(700).makeCheckpoint(700, new Date(SampleLog.START))],
      'a checkpoint of 700 leaves (2026-01-01T00:00:00.000Z) was signed before this tree of 600 leaves',
    ],
    [
      'two newer ones of the same size and different roots',
      async () => [await new SampleLog(700).makeCheckpoint(700), await makeOtherRoot(700)],
      'two checkpoints of 700 leaves have different roots',
    ],
    [
      'two before the range, of the same size and different roots',
      async () => [await LOG.makeCheckpoint(50), await makeOtherRoot(50)],
      'two checkpoints of 50 leaves have different roots',
    ],
    ['text that is not a checkpoint', () => Promise.resolve(['x\n\n']), 'anchored checkpoint 1'],
  ])('does not verify with an anchored checkpoint: %s', async (_, notes: () => Promise<string[]>, reason) => {
    expect((await findFault(PART, { anchored: anchored(...(await notes())) })).message).toContain(reason);
  });

  it.each([
    '[]',
    '{"from":1,"to":2}',
    '{"from":1,"to":2,"proof":["x"]}',
    '{"from":-1,"to":2,"proof":[]}',
    '{"from":1,"from":2,"to":2,"proof":[]}',
  ])('does not accept %s as a consistency proof', (text) => {
    expect(() => parseConsistency(text)).toThrow('the consistency proof');
  });
});
