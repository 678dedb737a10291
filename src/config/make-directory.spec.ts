import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeDirectory } from './make-directory.js';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'make-directory-'));
});
afterAll(() => {
  rmSync(root, { recursive: true });
});

const failure = (path: string): unknown => {
  try {
    makeDirectory(path);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

describe('makeDirectory', () => {
  it('makes a directory and those above it, all with the mode, and keeps what is there', () => {
    const path = join(root, 'a', 'b', 'c');
    makeDirectory(path, 0o700);
    makeDirectory(path);
    expect(['a', 'a/b', 'a/b/c'].map((name) => statSync(join(root, name)).mode & 0o777)).toEqual([0o700, 0o700, 0o700]);
  });

  it('refuses a file, what is below a file, and a link to nothing', () => {
    writeFileSync(join(root, 'file'), '');
    symlinkSync(join(root, 'nothing'), join(root, 'link'));
    expect(['file', 'file/below', 'link'].map((name) => failure(join(root, name)))).toEqual([
      'EEXIST',
      'EEXIST',
      'EEXIST',
    ]);
  });
});
