import { describe, expect, it } from '@jest/globals';
import { makeLogSigners, SampleLog } from '../../test/support/sample-log.js';
import { KeyHistory } from './key-history.js';
import type { LogSigner, VerifierKey } from './keys.js';
import { formatNote, NoteError, parseNote } from './signed-note.js';

const LOG = new SampleLog(40);
const [OLD, NEW, UNKNOWN] = [SampleLog.SIGNERS, makeLogSigners(SampleLog.ORIGIN), makeLogSigners(SampleLog.ORIGIN)];
const list = (signers: readonly LogSigner[]): VerifierKey[] => signers.map(({ key }) => key);
const sign = (size: number, ...signers: readonly LogSigner[][]): Promise<string> =>
  LOG.makeCheckpoint(size, undefined, signers.flat());
const [old, both, newer] = await Promise.all([sign(10, [...OLD]), sign(20, NEW, [...OLD]), sign(30, NEW)]);
const open = (...notes: readonly string[]): readonly number[] => {
  const keys = new KeyHistory(list(NEW), [list(OLD)]);
  return notes.map((note) => keys.open(note).size);
};

describe('the keys of a log over time open', () => {
  it('checkpoints from before, during and after a change of keys, in any order', () => {
    expect(open(old, both, newer)).toEqual([10, 20, 30]);
    expect(open(newer, both, old)).toEqual([30, 20, 10]);
  });

  it('a checkpoint of both keys also for somebody who has only the old ones, or only the new ones', () => {
    expect(new KeyHistory(list(OLD)).open(both).keys).toEqual(list(OLD));
    expect(new KeyHistory(list(NEW)).open(both).keys).toEqual(list(NEW));
    expect(new KeyHistory(list(NEW), [list(OLD)]).open(both).keys).toEqual([...list(OLD), ...list(NEW)]);
  });

  it('checkpoints of the old keys between those of both keys, as replicas make them that are replaced one by one', async () => {
    expect(open(both, await sign(21, [...OLD]), await sign(22, NEW, [...OLD]), newer)).toEqual([20, 21, 22, 30]);
  });

  it('a log that gained an algorithm', async () => {
    const [ed25519] = OLD as [LogSigner];
    const keys = new KeyHistory(list(OLD), [[ed25519.key]]);
    expect([await sign(5, [ed25519]), old].map((note) => keys.open(note).size)).toEqual([5, 10]);
    expect(() => keys.open(newer)).toThrow(NoteError);
    expect(() => new KeyHistory(list(OLD), [[ed25519.key]]).open(newer)).toThrow('it has signatures of');
  });

  it('a log that went back to the old keys, if they are given again', async () => {
    const back = await sign(35, [...OLD]);
    expect(() => open(old, newer, back)).toThrow('former keys alone');
    const keys = new KeyHistory(list(OLD), [list(OLD), list(NEW)]);
    expect([old, newer, back].map((note) => keys.open(note).size)).toEqual([10, 30, 35]);
  });
});

describe('the keys of a log over time refuse', () => {
  it('a checkpoint of the old keys alone once the new keys alone have signed, whichever is read first', async () => {
    const late = await sign(31, [...OLD]);
    const reason = 'former keys alone have signed a checkpoint of 31 leaves, but they had been replaced at 30 leaves';
    expect(() => open(newer, late)).toThrow(reason);
    expect(() => open(late, newer)).toThrow(reason);
  });

  it('a checkpoint of unknown keys under the same name, and name its keys', async () => {
    const forged = await sign(20, UNKNOWN);
    expect(() => open(forged)).toThrow(
      `it has signatures of ${UNKNOWN.map(({ key }) => `${key.name}+${key.keyId}`).join(' and ')}`,
    );
  });

  const only = (note: string, ...kept: readonly number[]): string => {
    const { text, signatures } = parseNote(note);
    return formatNote({ text, signatures: kept.map((index) => signatures[index]!) });
  };
  it('a checkpoint that lacks a signature of each time', () => {
    for (const kept of [[0], [1], [0, 3], [1, 2]]) expect(() => open(only(both, ...kept))).toThrow('lacks');
    for (const kept of [
      [0, 1],
      [2, 3],
    ])
      expect(open(only(both, ...kept))).toEqual([20]);
  });

  it('a checkpoint of both keys if one of the signatures is not valid', () => {
    const { signatures } = parseNote(both);
    for (const at of signatures.keys()) {
      const changed = signatures.map((one, index) =>
        index === at ? { ...one, signature: Buffer.from(one.signature).fill(1, 8) } : one,
      );
      expect(() => open(formatNote({ text: parseNote(both).text, signatures: changed }))).toThrow('is not valid');
    }
  });
});
