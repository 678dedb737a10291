import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { readNotes } from './checkpoint-trail.js';
import { ExportError } from './lines.js';
import { hashLeaf } from './merkle.js';
import { readRoot } from './proofs.js';
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

describe('an export that was not altered', () => {
  it('proves its events, its range, its root and its time', async () => {
    const proved = await verify(FULL);
    expect(proved).toMatchObject({ from: 0, to: SIZE, events: SIZE, erased: 0 });
    expect(proved.checkpoint).toMatchObject({
      origin: SampleLog.ORIGIN,
      size: SIZE,
      root: await readRoot(LOG.reader, SIZE),
    });
    expect(proved.span).toEqual([new Date(SampleLog.START), new Date(SampleLog.computeTime(SIZE - 1))]);
  });

  it('proves any range of it', async () => {
    for (const [from, to] of [
      [0, 1],
      [1, 600],
      [255, 257],
      [256, 512],
      [599, 600],
      [300, 300],
      [600, 600],
    ] as const) {
      const proved = await verify(await LOG.export(from, to, CHECKPOINT, SIZE));
      expect(proved).toMatchObject({ from, to, events: to - from });
    }
  });

  it('proves the empty log', async () => {
    const empty = new SampleLog(0);
    expect(await verify(await empty.export(0, 0, await empty.makeCheckpoint(0), 0))).toMatchObject({
      to: 0,
      span: undefined,
    });
  });

  it('verifies with the three kinds of lines alone, in any layout', async () => {
    const bare = await LOG.export(0, SIZE, CHECKPOINT, SIZE, true);
    expect(bare[17]).toBe(`{"kind":"event","leafIndex":17,"event":${LOG.events[17]!}}\n`);
    await verify(bare);
    const laidOut = bare.map((line) => `${JSON.stringify(JSON.parse(line), null, 1).replaceAll('\n', ' ')}\r\n`);
    const ascii = laidOut.map((line) => line.replaceAll('é', '\\u00e9').replaceAll('😀', '\\ud83d\\ude00'));
    const turned = bare.map(
      (line) => `${JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line) as object).reverse()))}\n`,
    );
    for (const lines of [laidOut, ascii, turned]) expect(await verify(lines)).toMatchObject({ events: SIZE });
  });

  it('verifies wherever its bytes are split, and without its last newline', async () => {
    const bytes = Buffer.from(FULL.slice(0, -1).concat(FULL.at(-1)!.trimEnd()).join(''));
    for (const width of [7, 1000, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / width) }, (_, i) =>
        bytes.subarray(i * width, (i + 1) * width),
      );
      expect(await verifyExport(Readable.from(chunks), KEYS)).toMatchObject({ events: SIZE });
    }
  });

  it('verifies where events are past their retention', async () => {
    const log = new SampleLog(SIZE);
    log.events.fill(null, 0, 300);
    for (const bare of [true, false]) {
      const lines = await log.export(0, SIZE, CHECKPOINT, SIZE, bare);
      expect(await verify(lines)).toMatchObject({ events: 300, erased: 300 });
    }
  });

  it('reports its progress', async () => {
    const told: number[][] = [];
    await verify(FULL, { onProgress: (...progress) => told.push(progress) });
    expect(told).toEqual([[Buffer.byteLength(FULL.join('')), SIZE + 1]]);
  });
});

describe('an export of rows that were altered in the database', () => {
  const altered = async (alter: (log: SampleLog) => void, bare = false): Promise<string[]> => {
    const log = new SampleLog(SIZE);
    alter(log);
    return log.export(0, SIZE, CHECKPOINT, SIZE, bare);
  };

  it('names the line of an edited event', async () => {
    const lines = await altered((log) => (log.events[321] = log.events[321]!.replace('é', 'e')));
    expect(await findFault(lines)).toMatchObject({ line: 322, lastLine: 322 });
  });

  it('names the line of an edited leaf', async () => {
    const lines = await altered((log) => (log.leaves[17] = hashLeaf('other')));
    expect(await findFault(lines)).toMatchObject({ line: 18, lastLine: 18 });
  });

  it('names the 256 lines of an event and a leaf that were edited alike', async () => {
    const lines = await altered((log) => (log.leaves[300] = hashLeaf((log.events[300] = '{"time":1}'))));
    expect(await findFault(lines)).toMatchObject({ line: 257, lastLine: 512 });
  });

  it('names the lines between two anchored checkpoints, in a whole export and in a part', async () => {
    const notes = [await LOG.makeCheckpoint(250), await LOG.makeCheckpoint(299), await LOG.makeCheckpoint(302)];
    const log = new SampleLog(SIZE);
    log.leaves[300] = hashLeaf((log.events[300] = '{"time":1}'));
    const whole = await log.export(0, SIZE, CHECKPOINT, SIZE, true);
    expect(await findFault(whole, { anchored: anchored(...notes) })).toMatchObject({ line: 300, lastLine: 302 });
    const original = (await LOG.export(200, 400, CHECKPOINT, SIZE, true)).at(-1)!;
    const part = [...(await log.export(200, 400, CHECKPOINT, SIZE, true)).slice(0, -1), original];
    expect(await findFault(part, { anchored: anchored(...notes) })).toMatchObject({ line: 100, lastLine: 102 });
    expect(await findFault(part)).toMatchObject({ line: 1, lastLine: 201 });
  });

  it('names the lines of an erased event whose leaf was edited', async () => {
    const lines = await altered((log) => {
      log.events.fill(null, 0, 300);
      log.leaves[3] = hashLeaf('other');
    });
    expect(await findFault(lines)).toMatchObject({ line: 1, lastLine: 256 });
  });

  it('names the line of an event that was deleted too early for retention', async () => {
    for (const index of [1, 300, SIZE - 1]) {
      expect(await findFault(await altered((log) => (log.events[index] = null)))).toMatchObject({ line: index + 1 });
    }
    const oldest = await altered((log) => (log.events[0] = null));
    expect(await verify(oldest)).toMatchObject({ erased: 1 });
    expect(await findFault(oldest, { retainedSince: new Date(SampleLog.START) })).toMatchObject({ line: 1 });
  });

  it('names the lines of a stored hash of 256 leaves that was edited', async () => {
    expect(await findFault(await altered((log) => (log.subtrees[1] = hashLeaf('other'))))).toMatchObject({ line: 257 });
  });

  it('does not verify when the log was cut and signed anew', async () => {
    const older = await LOG.makeCheckpoint(SIZE);
    const log = new SampleLog(500);
    const cut = await log.export(0, 500, await log.makeCheckpoint(500, new Date(SampleLog.START + 9e6)), 500);
    expect((await findFault(cut, { since: older })).message).toContain('the log was cut');
    expect((await findFault(cut, { anchored: anchored(older) })).message).toContain('the log was cut');
    expect(await verify(cut, { since: await LOG.makeCheckpoint(450) })).toMatchObject({ events: 500 });
  });
});
