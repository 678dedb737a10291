import { mkdir, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { FilePair } from '../../test/support/file-pair.js';
import { until } from '../../test/support/until.js';

let pair: FilePair;
beforeEach(async () => {
  pair = await FilePair.create();
});
afterEach(() => pair.remove());

describe('the first reading', () => {
  it('gives the first value', async () => {
    expect((await pair.open()).value).toBe('1');
  });

  it('must succeed', async () => {
    await pair.write('b', '2');
    await expect(pair.open()).rejects.toThrow('1 is not 2');
    await rm(pair.path('a'));
    await expect(pair.open()).rejects.toThrow('ENOENT');
  });
});

describe('a change', () => {
  const changes: [string, () => Promise<void>][] = [
    ['written in place', () => pair.writeBoth('2')],
    [
      'renamed over the files',
      async () => {
        for (const name of ['a', 'b']) {
          await pair.write(`${name}.new`, '2');
          await rename(pair.path(`${name}.new`), pair.path(name));
        }
      },
    ],
    [
      'renamed over them, as long and as old as they were',
      async () => {
        for (const name of ['a', 'b']) {
          await pair.write(`${name}.new`, '2');
          await utimes(pair.path(`${name}.new`), 1, 1);
          await rename(pair.path(`${name}.new`), pair.path(name));
        }
      },
    ],
  ];
  it.each(changes)('is loaded when the files are %s, and replaces the earlier value', async (_, change) => {
    const files = await pair.open();
    await change();
    await pair.look(files);
    expect([files.value, pair.reported]).toEqual(['2', ['1 → 2']]);
  });

  it('is reported with the files that are not those in use, also after some of them were refused', async () => {
    const files = await pair.open();
    await pair.write('b', '1');
    await pair.look(files);
    await pair.write('a', '2');
    await pair.look(files, 2);
    expect(files.refused).toBe('2 is not 1');
    await pair.write('b', '2');
    await pair.look(files);
    await pair.writeBoth('3');
    await pair.look(files);
    expect(pair.changed).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ]);
  });

  it('of one file of several is reported with its path alone', async () => {
    const files = await pair.open((held) => (held === undefined ? pair.read(held) : readFile(pair.path('b'), 'utf8')));
    await pair.write('b', '2');
    await pair.look(files);
    expect(pair.changed).toEqual([['b']]);
  });

  it('of a symbolic link to their directory is loaded', async () => {
    for (const version of ['1', '2']) {
      await mkdir(pair.path(version));
      for (const name of ['a', 'b']) await writeFile(join(pair.path(version), name), version);
    }
    await symlink('1', pair.path('data'));
    for (const name of ['a', 'b']) {
      await rm(pair.path(name));
      await symlink(`data/${name}`, pair.path(name));
    }
    const files = await pair.open();
    await symlink('2', pair.path('data.new'));
    await rename(pair.path('data.new'), pair.path('data'));
    await pair.look(files);
    expect(pair.reported).toEqual(['1 → 2']);
  });

  it('is read once', async () => {
    const files = await pair.open();
    await pair.look(files);
    expect(pair.readings).toBe(1);
    await pair.writeBoth('2');
    await pair.look(files, 3);
    expect([pair.readings, pair.reported]).toEqual([2, ['1 → 2']]);
  });

  it('that leaves the content the same is not reported', async () => {
    const files = await pair.open();
    await pair.writeBoth('1');
    await pair.look(files, 2);
    expect([pair.readings, files.value, pair.reported]).toEqual([2, '1', []]);
  });

  it('is seen although it came while the files were read', async () => {
    const files = await pair.open(async (held) => {
      const value = await pair.read(held);
      if (!held) await pair.writeBoth('2');
      return value;
    });
    await pair.look(files);
    expect(pair.reported).toEqual(['1 → 2']);
  });

  it('is not read while it is being written', async () => {
    let rests = 0;
    const files = await pair.open(undefined, async () => {
      rests += 1;
      expect(pair.readings).toBe(1);
      if (rests < 10) await pair.writeBoth('2'.repeat(rests));
    });
    await pair.write('a', '');
    await pair.look(files);
    expect([rests, pair.readings, pair.reported]).toEqual([10, 2, [`1 → ${'2'.repeat(9)}`]]);
  });

  it('is awaited for ten rests at most', async () => {
    let rests = 0;
    const files = await pair.open(undefined, () => pair.write('a', '2'.repeat((rests += 1))));
    await pair.write('a', '');
    await pair.look(files);
    expect([rests, pair.readings]).toEqual([10, 2]);
  });

  it('is given a tenth of a second between two comparisons', async () => {
    const files = await pair.open();
    await pair.writeBoth('2');
    const began = performance.now();
    await pair.look(files);
    // A timer may fire a millisecond early.
    expect(performance.now() - began).toBeGreaterThanOrEqual(99);
  });

  it('that its listener cannot use is not loaded', async () => {
    const files = await pair.open();
    await pair.writeBoth('2');
    const unable = {
      ...pair.reports,
      onReloaded: () => {
        throw new Error('the server refuses it');
      },
    };
    await files.checkFiles(unable);
    await files.checkFiles(unable);
    expect([files.value, files.refused, pair.reported]).toEqual([
      '1',
      'the server refuses it',
      ['refused: the server refuses it'],
    ]);
  });
});

describe('watching', () => {
  beforeEach(() => {
    jest.useFakeTimers({
      doNotFake: ['Date', 'performance', 'setTimeout', 'clearTimeout', 'setImmediate', 'nextTick', 'queueMicrotask'],
    });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('looks at the files every half second, and loads each change', async () => {
    const early = await pair.open();
    early.watch(pair.reports);
    await pair.writeBoth('2');
    jest.advanceTimersByTime(499);
    await early.close();
    expect(pair.reported).toEqual([]);
    const files = await pair.open();
    files.watch(pair.reports);
    for (const [at, content] of ['3', '4'].entries()) {
      await pair.writeBoth(content);
      jest.advanceTimersByTime(500);
      await until(() => pair.reported.length > at);
    }
    expect(pair.reported).toEqual(['2 → 3', '3 → 4']);
  });

  it('does not begin another look while one is under way', async () => {
    let looks = 0;
    const { promise, resolve } = Promise.withResolvers<string>();
    const files = await pair.open((held) => {
      looks += 1;
      return held === undefined ? Promise.resolve('1') : promise;
    });
    files.watch(pair.reports);
    await pair.writeBoth('2');
    jest.advanceTimersByTime(500);
    await until(() => looks === 2);
    jest.advanceTimersByTime(5_000);
    resolve('2');
    await files.close();
    expect([looks, pair.reported]).toEqual([2, ['1 → 2']]);
  });

  it('ends with close, which waits for the look in progress', async () => {
    const files = await pair.open();
    files.watch(pair.reports);
    await pair.writeBoth('2');
    jest.advanceTimersByTime(500);
    await files.close();
    expect(pair.reported).toEqual(['1 → 2']);
    await pair.writeBoth('3');
    jest.advanceTimersByTime(5_000);
    await files.close();
    expect([files.value, pair.reported]).toEqual(['2', ['1 → 2']]);
  });

  it('can be closed before it has begun', async () => {
    await expect((await pair.open()).close()).resolves.toBeUndefined();
  });
});
