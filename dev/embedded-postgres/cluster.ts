import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError, WAY_OUT } from './embedded-postgres-error.js';
import { findBinaries, type PostgresBinaries } from './platform-binaries.js';
import { requireNamedUser, runProgram, type Run, type ServerAccount, chooseServerAccount } from './server-account.js';

/** The superuser. initdb and the lock connection use it, the service never does. */
export const SUPERUSER = 'postgres';

/**
 * Directory for copies of the programs that the account of the server can reach if the service runs as root. Only root
 * can write to it.
 */
const ROOTS_SHELF = '/var/cache/passkey-manager';

const UNFINISHED = /^postgres\.initialising-(\d+)-/;

/** A data directory of PostgreSQL with everything that a server in it needs. */
export interface Cluster {
  /** Holds `data` (PGDATA), `server.log` and `password`; mode 0700, owned by the account. */
  readonly home: string;
  readonly account: ServerAccount;
  readonly binaries: PostgresBinaries;
  /** False: nothing is flushed to disk, and a crash of the machine may lose all data. */
  readonly durable: boolean;
  /** Password of the superuser. */
  readonly password: string;
}

/** Opens the cluster in `directory`, or makes it. @param onStep hears when it makes one */
export async function openCluster(
  directory: string,
  durable: boolean,
  onStep?: (step: string) => void,
): Promise<Cluster> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeUnfinished(directory);
  const home = join(directory, 'postgres');
  const account = await chooseServerAccount(home);
  const shelf = account.uid === undefined ? directory : ROOTS_SHELF;
  const binaries = await findBinaries(account, shelf);
  if (await stat(home).catch(() => undefined)) await demandSameMajor(home, account, binaries);
  else {
    requireNamedUser();
    onStep?.(`Making a database in ${home}`);
    await initialise(directory, { home, account, binaries, durable, password: randomBytes(32).toString('base64url') });
  }
  try {
    const password = (await readFile(join(home, 'password'), 'utf8')).trim();
    return { home, account, binaries, durable, password };
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `${home} is not a database of this service (its password file can't be read): move it away. ${WAY_OUT}`,
      { cause },
    );
  }
}

/** A server reads only what its own major version wrote. */
async function demandSameMajor(home: string, account: ServerAccount, { pgCtl }: PostgresBinaries): Promise<void> {
  const written = (await readFile(join(home, 'data', 'PG_VERSION'), 'utf8').catch(() => '')).trim();
  const { output } = await runProgram(account, pgCtl, ['--version'], { cwd: '/' });
  const embedded = /\d+/.exec(output)?.[0] ?? '';
  if (written === '' || written === embedded) return;
  throw new EmbeddedPostgresError(
    `${home} has a database of PostgreSQL ${written}, and the embedded PostgreSQL is ${embedded}, which cannot read it: run the version of Passkey Manager that made it, or copy it with pg_dump of PostgreSQL ${written}, or move the directory away to begin with an empty one. ${WAY_OUT}`,
  );
}

/**
 * Runs initdb or pg_ctl on the cluster, in its PGDATA. For root on Linux, PGDATA is /proc/self/cwd: the server then
 * works in a directory that its account owns but cannot reach by its path, such as one below /root. Paths beside it are
 * relative (`../server.log`) for the same reason.
 */
export function runOnCluster(
  { home, account }: Cluster,
  program: string,
  args: readonly string[],
  options: { detached?: boolean } = {},
): Promise<Run> {
  const cwd = join(home, 'data');
  const named = account.uid !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : cwd;
  return runProgram(account, program, [...args, '-D', named], { cwd, ...options });
}

/**
 * Initialises the cluster in a sibling directory and renames it at the end, so a killed start leaves nothing that looks
 * like a database.
 */
async function initialise(directory: string, cluster: Cluster): Promise<void> {
  const suffix = `${String(process.pid)}-${randomBytes(4).toString('hex')}`;
  const unfinished = { ...cluster, home: join(directory, `postgres.initialising-${suffix}`) };
  try {
    await runInitdb(unfinished);
    await rename(unfinished.home, cluster.home);
    if (cluster.durable) await syncDirectory(directory);
  } catch (error) {
    await rm(unfinished.home, { recursive: true, force: true });
    // If another process made the database first, the name is taken, and its database is used.
    if (!(await stat(cluster.home).catch(() => undefined))) throw error;
  }
}

async function runInitdb(cluster: Cluster): Promise<void> {
  const { home, account, binaries, durable, password } = cluster;
  const [data, passwordFile] = [join(home, 'data'), join(home, 'password')];
  await mkdir(data, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flush: durable });
  if (account.uid !== undefined && account.gid !== undefined) {
    for (const path of [home, data, passwordFile]) await chown(path, account.uid, account.gid);
  }
  const { code, output } = await runOnCluster(cluster, binaries.initdb, [
    `--username=${SUPERUSER}`,
    '--pwfile=../password',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
    ...(durable ? [] : ['--no-sync']),
  ]);
  if (code !== 0)
    throw new EmbeddedPostgresError(`The embedded database could not be initialised. initdb said:\n${output}`);
}

/** Flushes a directory, so that a rename in it survives a power failure. Windows has no such call and needs none. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = UNFINISHED.exec(name)?.[1];
    // A later start removes what cannot be removed now, such as the files of an initdb that outlives its service for a
    // moment.
    if (pid && !isAlive(Number(pid))) {
      await rm(join(directory, name), { recursive: true, force: true }).catch(() => undefined);
    }
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
