import { rename, rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FilePair } from '../../test/support/file-pair.js';
import type { WatchedFiles } from './watched-files.js';

let pair: FilePair;
beforeEach(async () => {
  pair = await FilePair.create();
});
afterEach(() => pair.remove());

describe('files that cannot be used', () => {
  it('change nothing, and are reported after the second look', async () => {
    const files = await pair.open();
    await pair.write('b', '2');
    await pair.look(files);
    expect([files.value, files.refused, pair.reported]).toEqual(['1', undefined, []]);
    await pair.look(files);
    expect([files.value, files.refused, pair.reported]).toEqual(['1', '1 is not 2', ['refused: 1 is not 2']]);
    await pair.look(files, 5);
    expect([pair.readings, pair.reported.length]).toEqual([3, 1]);
  });

  it('because they are half replaced are read when they are complete, without a report', async () => {
    const files = await pair.open();
    await pair.write('a', '2');
    await pair.look(files);
    await pair.write('b', '2');
    await pair.look(files);
    expect([files.value, files.refused, pair.reported]).toEqual(['2', undefined, ['1 → 2']]);
  });

  it('get two looks each time', async () => {
    const files = await pair.open();
    for (const content of ['2', '1', '3']) {
      await pair.write('b', content);
      await pair.look(files);
    }
    expect(pair.reported).toEqual([]);
    await pair.look(files);
    expect(pair.reported).toEqual(['refused: 1 is not 3']);
  });

  it('get two looks again after the former files came back in between', async () => {
    const files = await pair.open();
    await rename(pair.path('b'), pair.path('b.kept'));
    await pair.look(files);
    await rename(pair.path('b.kept'), pair.path('b'));
    await pair.look(files);
    await pair.write('b', '2');
    await pair.look(files);
    expect(pair.reported).toEqual([]);
  });

  it('because one is missing are reported', async () => {
    const files = await pair.open();
    await rm(pair.path('b'));
    await pair.look(files, 2);
    expect([files.value, files.refused]).toEqual(['1', expect.stringContaining('ENOENT')]);
  });

  it('are reported again when others replace them', async () => {
    const files = await pair.open();
    for (const content of ['2', '3']) {
      await pair.write('b', content);
      await pair.look(files, 2);
    }
    expect(pair.reported).toEqual(['refused: 1 is not 2', 'refused: 1 is not 3']);
  });

  it('are forgotten when the former ones are back', async () => {
    const files = await pair.open();
    await pair.write('b', '2');
    await pair.look(files, 2);
    await pair.write('b', '1');
    await pair.look(files);
    expect([files.refused, pair.reported]).toEqual([undefined, ['refused: 1 is not 2']]);
  });

  it('never make the watcher throw, whatever their reader throws', async () => {
    const thrown = ['no Error'];
    const files = await pair.open((held) =>
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a library might throw a string
      held === undefined ? Promise.resolve('1') : Promise.reject(thrown),
    );
    await pair.writeBoth('2');
    await pair.look(files, 2);
    expect(files.refused).toBe('no Error');
  });

  describe('are read again, unchanged, at every tenth look', () => {
    async function refusedBy(reason: string): Promise<WatchedFiles<string>> {
      const files = await pair.open();
      pair.fault = reason;
      await pair.writeBoth('2');
      await pair.look(files, 2);
      expect([pair.readings, files.refused]).toEqual([3, reason]);
      return files;
    }

    it('because a disk fault passes, or a certificate begins', async () => {
      const files = await refusedBy('EIO');
      pair.fault = undefined;
      await pair.look(files, 9);
      expect(files.value).toBe('1');
      await pair.look(files);
      expect([files.value, files.refused, pair.reported]).toEqual(['2', undefined, ['refused: EIO', '1 → 2']]);
      await pair.look(files, 20);
      expect(pair.readings).toBe(4);
    });

    it('and are reported again only when the reason differs', async () => {
      const files = await refusedBy('EIO');
      await pair.look(files, 20);
      expect([pair.readings, pair.reported]).toEqual([5, ['refused: EIO']]);
      pair.fault = 'EMFILE';
      await pair.look(files, 10);
      expect([files.refused, pair.reported]).toEqual(['EMFILE', ['refused: EIO', 'refused: EMFILE']]);
    });
  });
});
