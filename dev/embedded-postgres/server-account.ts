import { execFile, spawn } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { promisify } from 'node:util';
import { EmbeddedPostgresError, WAY_OUT } from './embedded-postgres-error.js';

/** The account that PostgreSQL's processes run under. Without a uid it is the account of the service. */
export interface ServerAccount {
  readonly uid?: number;
  readonly gid?: number;
}

export interface Run {
  /** null: a signal ended it. */
  readonly code: number | null;
  /** Standard output and standard error, in the order of arrival. */
  readonly output: string;
}

/**
 * Chooses the account of the server. PostgreSQL refuses to run as uid 0. If the service runs as root, the server runs
 * as the owner of the data, or else as `nobody`: an account that exists everywhere, owns nothing, and has the passwd
 * entry that initdb needs.
 */
export async function chooseServerAccount(home: string): Promise<ServerAccount> {
  const owner = await stat(home).catch(() => undefined);
  if (process.getuid?.() === 0) {
    return owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await useNobody(home, owner !== undefined);
  }
  if (owner && process.getuid && owner.uid !== process.getuid()) {
    throw new EmbeddedPostgresError(
      `${home} belongs to uid ${String(owner.uid)}, not to uid ${String(process.getuid())}, which runs this service: run it as that user, or choose another PASSKEY_DATA_DIR. ${WAY_OUT}`,
    );
  }
  return {};
}

async function useNobody(home: string, exists: boolean): Promise<ServerAccount> {
  if (exists) {
    throw new EmbeddedPostgresError(
      `${home} belongs to root, and PostgreSQL does not run as root: give it to another user (chown -R nobody ${home}). ${WAY_OUT}`,
    );
  }
  try {
    return { uid: await readIdOfNobody('-u'), gid: await readIdOfNobody('-g') };
  } catch {
    throw new EmbeddedPostgresError(
      `PostgreSQL does not run as root, and there is no user "nobody" to run it as: start the service as an ordinary user. ${WAY_OUT}`,
    );
  }
}

async function readIdOfNobody(flag: '-u' | '-g'): Promise<number> {
  const { stdout } = await promisify(execFile)('id', [flag, 'nobody']);
  // macOS prints 4294967294, but spawn and chown want -2.
  return Number(stdout) | 0;
}

/**
 * Demands that the user has a name. initdb looks it up, and fails under a uid without one (docker run --user 12345).
 */
export function requireNamedUser(): void {
  if (process.platform === 'win32' || process.getuid?.() === 0) return;
  try {
    userInfo();
  } catch {
    throw new EmbeddedPostgresError(
      `uid ${String(process.getuid?.())} has no entry in the user database (/etc/passwd), which PostgreSQL's initdb needs: add one, or run as a user that has one. ${WAY_OUT}`,
    );
  }
}

/**
 * Runs a program of PostgreSQL to its end. The working directory is entered before the uid changes, so it may be below
 * a directory that the account cannot traverse. With `detached`, Ctrl-C in the terminal does not reach it.
 */
export function runProgram(
  account: ServerAccount,
  program: string,
  args: readonly string[],
  options: { cwd: string; detached?: boolean },
): Promise<Run> {
  const child = spawn(program, args, {
    ...options,
    ...account,
    env: createEnvironment(),
    windowsHide: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
  const { promise, resolve, reject } = Promise.withResolvers<Run>();
  const resolveRun = (code: number | null): void => {
    child.stdout.destroy();
    child.stderr.destroy();
    resolve({ code, output: Buffer.concat(output).toString().trim() });
  };
  child.once('error', reject);
  child.once('close', resolveRun);
  // On Windows the server that pg_ctl leaves behind may hold the pipes open, and then `close` never comes.
  child.once('exit', (code) => setTimeout(resolveRun, 500, code).unref());
  return promise;
}

/**
 * Makes the environment of the server. It gets no secrets and no PG* variables of the service. Its messages are in
 * English.
 */
export function createEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'SystemRoot', 'TEMP', 'TMP'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}
