import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readBounded } from './read-bounded.js';

const MAX_BYTES = 8;

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-bounded-'));
  path = join(directory, 'file');
});
afterEach(async () => {
  // Opening the pipe for writing releases a reader that waits for it, so that a failing test does not hang.
  const writer = await open(path, constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined);
  await writer?.close();
  await rm(directory, { recursive: true });
});

describe('a named pipe without a writer', () => {
  it('is refused at once', async () => {
    execFileSync('mkfifo', [path]);
    await expect(readBounded(path, MAX_BYTES)).rejects.toThrow('is not a file');
  });
});

describe('a file', () => {
  it.each([
    ['of the largest size is read', MAX_BYTES],
    ['of no bytes is read', 0],
  ])('%s', async (_, size) => {
    await writeFile(path, 'a'.repeat(size));
    expect(await readBounded(path, MAX_BYTES)).toHaveLength(size);
  });

  it('with one byte too many is refused', async () => {
    await writeFile(path, 'a'.repeat(MAX_BYTES + 1));
    await expect(readBounded(path, MAX_BYTES)).rejects.toThrow('is larger than 8 bytes');
  });
});
