import { randomBytes } from 'node:crypto';
import { chown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedPostgresError, WAY_OUT } from './embedded-postgres-error.js';
import { platformBinaries, type PostgresBinaries } from './platform-binaries.js';
import { requireNamedUser, run, type Run, type ServerAccount, serverAccount } from './server-account.js';

/** The superuser: of initdb, of the lock connection, never of the service. */
export const SUPERUSER = 'postgres';

/** For copies of the programs that root's server account can reach. Only root can write there. */
const ROOTS_SHELF = '/var/cache/passkey-manager';

const UNFINISHED = /^postgres\.initialising-(\d+)-/;

/** One data directory of PostgreSQL and what it takes to run a server in it. */
export interface Cluster {
  /** Holds `data` (PGDATA), `server.log` and `password`; mode 0700, owned by the account. */
  readonly home: string;
  readonly account: ServerAccount;
  readonly binaries: PostgresBinaries;
  /** False: a crash of the machine may cost everything. */
  readonly durable: boolean;
  /** Of the superuser. */
  readonly password: string;
}

/** Finds the cluster in `directory`, or makes it. */
export async function openCluster(directory: string, durable: boolean): Promise<Cluster> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await removeUnfinished(directory);
  const home = join(directory, 'postgres');
  const account = await serverAccount(home);
  const shelf = account.uid === undefined ? directory : ROOTS_SHELF;
  const binaries = await platformBinaries(account, shelf);
  if (!(await stat(home).catch(() => undefined))) {
    requireNamedUser();
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

/**
 * Runs initdb or pg_ctl on the cluster, in its PGDATA. For root on Linux, PGDATA is named by /proc/self/cwd: the
 * server then works in a directory that its account owns but could not reach by its path, such as one below /root.
 * Paths beside it are given relative (`../server.log`) for the same reason.
 */
export function runOn(
  { home, account }: Cluster,
  program: string,
  args: readonly string[],
  options: { detached?: boolean } = {},
): Promise<Run> {
  const cwd = join(home, 'data');
  const named = account.uid !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : cwd;
  return run(account, program, [...args, '-D', named], { cwd, ...options });
}

/** In a sibling that gets its name when all is there: a killed start leaves nothing that looks like a database. */
async function initialise(directory: string, cluster: Cluster): Promise<void> {
  const suffix = `${String(process.pid)}-${randomBytes(4).toString('hex')}`;
  const unfinished = { ...cluster, home: join(directory, `postgres.initialising-${suffix}`) };
  try {
    await runInitdb(unfinished);
    await rename(unfinished.home, cluster.home);
    if (cluster.durable) await syncDirectory(directory);
  } catch (error) {
    await rm(unfinished.home, { recursive: true, force: true });
    // Another process was first, and the name is taken: its database is the one.
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
  const { code, output } = await runOn(cluster, binaries.initdb, [
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

/** A rename outlives a power failure once its directory is on disk. Windows has no such call and needs none. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}

async function removeUnfinished(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const pid = UNFINISHED.exec(name)?.[1];
    // What can't be removed now (an initdb that outlives its service for a moment) is removed by a later start.
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
