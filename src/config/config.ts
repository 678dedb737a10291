import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { readTlsFiles } from './tls-files.js';
import { describeUnknownSettings, isServiceLink } from './unknown-settings.js';

/*
 * This folder holds what the service is told from outside: settings, secret keys, files and the time.
 *
 *  - config.ts reads the environment once into a frozen `Config`, and reports all mistakes together. tls-files.ts reads the
 *    settings of the listener's files.
 *  - config.ts reads the environment once into a frozen `Config`, and reports all mistakes together.
 *  - unknown-settings.ts names variables that are misspelled.
 *  - secret-keys.ts derives the keys of the service from one file.
 *  - read-bounded.ts reads a file of limited size, watched-files.ts keeps the value of a few files current, and plain-yaml.ts
 *    parses YAML without surprises.
 *  - development.ts describes what a development start generates, so that production can refuse it.
 *  - clock.ts is the only source of time.
 */

/** Identifies one of several processes that serve the same port. */
export interface WorkerNumber {
  /** Counts from 1. A replacement gets the number of its predecessor. */
  readonly number: number;
  readonly of: number;
  /** How the predecessor ended unexpectedly; undefined for the first process with this number. */
  readonly replaces?: WorkerEnd | undefined;
}

export interface WorkerEnd {
  readonly pid: number;
  readonly code: number | null;
  readonly signal: string | null;
}

/** All settings of the service. They are read once at boot and frozen. */
export interface Config {
  readonly production: boolean;
  /** True to allow the development CA, policy and keys in production, and development beyond loopback. */
  readonly allowDevelopment: boolean;
  readonly dataDir: string;
  /** The URL of PostgreSQL 15 or later; undefined for the embedded database in `dataDir`. */
  readonly databaseUrl: string | undefined;
  /** The file of the database password, for a URL without one. */
  readonly databasePasswordFile?: string | undefined;
  /** The same database with the login that writes the transparency log; undefined: that of `databaseUrl` does. */
  readonly auditDatabaseUrl?: string | undefined;
  /** The file of the password of that login, for a URL without one. */
  readonly auditDatabasePasswordFile?: string | undefined;
  /** The least important lines of the service's own log that are written. */
  readonly logLevel: LogLevel;
  readonly https: Listener;
  readonly management: Listener;
  readonly tls: TlsFiles;
  readonly accessPolicyFile: string;
  readonly relyingPartiesFile: string | undefined;
  /** PEM certificates that the service accepts as attestation roots, besides the well-known ones. */
  readonly attestationRootsFile: string | undefined;
  readonly auditKeyFile: string;
  /** The passphrase of the audit keys; undefined if they are not encrypted. */
  readonly auditKeyPassphraseFile?: string | undefined;
  /** The name of the audit log: its checkpoints have the origin `passkey-manager/<name>`. */
  readonly deploymentName: string;
  /** The service appends the log's checkpoints to this file. */
  readonly auditAnchorFile?: string | undefined;
  /** The service posts the log's checkpoints to this URL. */
  readonly auditAnchorUrl?: string | undefined;
  /** The anchored checkpoints that a restored database lacks, and without which its log may be continued. */
  readonly auditLostCheckpoints?: readonly { readonly size: number; readonly root: Buffer }[] | undefined;
  readonly bindingKeyFile: string;
  /** The keys of sealed challenges, the newest first; undefined to derive one from the binding key. */
  readonly challengeKeysFile?: string | undefined;
  /** The FIDO metadata BLOB as FIDO publishes it; undefined if there is none. */
  readonly metadataBlobFile: string | undefined;
  /** The number of processes that serve. With 1, the process that reads the settings serves. */
  readonly workers: number;
  /** The percentage of a process's running requests that one caller may have. */
  readonly callerShare: number;
  /** A sentence for each variable that looks like a setting and is none. */
  readonly unknownSettings: readonly string[];
  /** The primary sets this; undefined in the only process. */
  readonly worker?: WorkerNumber | undefined;
}

/** As pino names them, the most important first. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface Listener {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface TlsFiles {
  readonly certFile: string;
  /** The same file as `certFile` if it holds the key, too. */
  readonly keyFile: string;
  /** The passphrase of the key; undefined if the key is not encrypted. */
  readonly keyPassphraseFile?: string | undefined;
  /** `fillInTrustDomain` completes the path. */
  readonly caFile: string;
  /** Undefined only if callers' certificates are short-lived. */
  readonly crlFile?: string | undefined;
  /**
   * The most hours that a caller's certificate may live, from notBefore to notAfter, so that it needs no revocation
   * list; undefined: every authority needs a list.
   */
  readonly shortLivedHours?: number | undefined;
}

export const CONFIG = Symbol('Config');

/** A higher number is more likely a mistake than a larger machine. */
const MAX_WORKERS = 64;

/** Carries every mistake in the settings, so that one start reports them all. */
export class ConfigError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(`The settings do not allow a start:\n${mistakes.map((mistake) => `  - ${mistake}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/**
 * @param env the process environment; an empty value counts as absent
 * @throws ConfigError that names every setting that is missing or wrong
 */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const names = new Set<string>();
  const get = (given: NodeJS.ProcessEnv, name: string): string | undefined => {
    names.add(name);
    return given[name];
  };
  return readSettings(new Settings(new Proxy(env, { get })), () => describeUnknownSettings(env, [...names]));
}

/** @param describeUnknown is called when every setting has been read */
function readSettings(settings: Settings, describeUnknown: () => readonly string[]): Config {
  const production =
    settings.readOneOf('NODE_ENV', ['development', 'production', 'test'], 'development') === 'production';
  const dataDir = settings.readDirectory('PASSKEY_DATA_DIR', '.data');
  const readGeneratedPath = (name: string, path: string): string =>
    settings.readFilePath(name, production ? undefined : join(dataDir, path));
  const config: Config = {
    production,
    allowDevelopment: settings.readOneOf('PASSKEY_ALLOW_DEVELOPMENT', ['true', 'false'], 'false') === 'true',
    dataDir,
    databaseUrl: settings.readDatabaseUrl('DATABASE_URL', production),
    databasePasswordFile: settings.readDatabasePasswordFile('PASSKEY_DATABASE_PASSWORD_FILE', 'DATABASE_URL'),
    auditDatabaseUrl: settings.readDatabaseUrl('PASSKEY_AUDIT_DATABASE_URL', false),
    auditDatabasePasswordFile: settings.readDatabasePasswordFile(
      'PASSKEY_AUDIT_DATABASE_PASSWORD_FILE',
      'PASSKEY_AUDIT_DATABASE_URL',
    ),
    logLevel: settings.readOneOf('PASSKEY_LOG_LEVEL', LOG_LEVELS, production ? 'info' : 'warn'),
    https: settings.readListener('PASSKEY_HTTPS', 8443),
    management: settings.readListener('PASSKEY_MANAGEMENT', 8081),
    tls: readTlsFiles(settings, readGeneratedPath),
    accessPolicyFile: readGeneratedPath('PASSKEY_ACCESS_POLICY_FILE', 'access-policy.yaml'),
    relyingPartiesFile: settings.readOptionalFilePath('PASSKEY_RELYING_PARTIES_FILE'),
    attestationRootsFile: settings.readOptionalFilePath('PASSKEY_ATTESTATION_ROOTS_FILE'),
    auditKeyFile: readGeneratedPath('PASSKEY_AUDIT_KEY_FILE', 'audit.key'),
    auditKeyPassphraseFile: settings.readOptionalFilePath('PASSKEY_AUDIT_KEY_PASSPHRASE_FILE'),
    deploymentName: settings.readName('PASSKEY_DEPLOYMENT_NAME', 'default'),
    auditAnchorFile: settings.readAppendedFilePath('PASSKEY_AUDIT_ANCHOR_FILE'),
    auditAnchorUrl: settings.readHttpUrl('PASSKEY_AUDIT_ANCHOR_URL'),
    auditLostCheckpoints: settings.readCheckpoints('PASSKEY_AUDIT_LOST_CHECKPOINTS'),
    bindingKeyFile: readGeneratedPath('PASSKEY_BINDING_KEY_FILE', 'binding.key'),
    challengeKeysFile: settings.readOptionalFilePath('PASSKEY_CHALLENGE_KEYS_FILE'),
    metadataBlobFile: settings.readOptionalFilePath('PASSKEY_MDS_BLOB_FILE'),
    workers: settings.readWorkers('PASSKEY_WORKERS'),
    callerShare: settings.readPercent('PASSKEY_CALLER_SHARE', 25),
    unknownSettings: Object.freeze(describeUnknown()),
  };
  if (!production && !config.allowDevelopment) settings.requireLoopback(config);
  if (settings.mistakes.length > 0) throw new ConfigError([...settings.mistakes, ...config.unknownSettings]);
  return Object.freeze(config);
}

export class Settings {
  readonly mistakes: string[] = [];

  constructor(readonly env: NodeJS.ProcessEnv) {}

  readOneOf<Value extends string>(name: string, allowed: readonly Value[], fallback: Value): Value {
    const value = (this.env[name] || fallback) as Value;
    if (!allowed.includes(value)) this.mistakes.push(`${name} is "${value}"; it must be one of ${allowed.join(', ')}`);
    return value;
  }

  readDirectory(name: string, fallback: string): string {
    return resolve(this.env[name] || fallback);
  }

  readName(name: string, fallback: string): string {
    const value = this.env[name] || fallback;
    if (!/^[A-Za-z0-9._-]{1,100}$/.test(value)) {
      this.mistakes.push(`${name} is "${value}"; it must be 1 to 100 letters, digits, dots, hyphens and underscores`);
    }
    return value;
  }

  /** Reads a number of workers; `auto` is the number of cores that the process may use. */
  readWorkers(name: string): number {
    const value = this.env[name] || '1';
    const count = value === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : Number(value);
    if (value !== 'auto' && (!/^\d{1,2}$/.test(value) || count < 1 || count > MAX_WORKERS))
      this.mistakes.push(`${name} is "${value}"; it must be auto, or a number from 1 to ${String(MAX_WORKERS)}`);
    return count;
  }

  readPercent(name: string, fallback: number): number {
    const value = this.env[name] || String(fallback);
    const percent = Number(value);
    if (!/^\d{1,3}$/.test(value) || percent < 1 || percent > 100)
      this.mistakes.push(`${name} is "${value}"; it must be a percentage from 1 to 100`);
    return percent;
  }

  readListener(prefix: string, defaultPort: number): Listener {
    const name = `${prefix}_PORT`;
    const text = this.env[name] || String(defaultPort);
    const port = Number(text);
    if (!/^\d{1,5}$/.test(text) || port > 65_535) {
      const service = prefix.toLowerCase().replaceAll('_', '-');
      const why = isServiceLink(name, text)
        ? `: Kubernetes sets it for a Service named ${service}, unless the pod has enableServiceLinks: false`
        : '';
      this.mistakes.push(`${name} is "${text}"; it must be a port, 0 to 65535${why}`);
    }
    return Object.freeze({ host: this.env[`${prefix}_HOST`] || '127.0.0.1', port });
  }

  /** @param fallback the path of the file that development generates; undefined if the setting is required */
  readFilePath(name: string, fallback: string | undefined): string {
    const path = this.readOptionalFilePath(name) ?? fallback;
    if (path === undefined) this.mistakes.push(`${name} is not set; NODE_ENV=production uses no generated default`);
    return path ?? '';
  }

  readOptionalFilePath(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const path = resolve(value);
    try {
      accessSync(path, constants.R_OK);
      if (statSync(path).isDirectory()) this.mistakes.push(`${name} names "${path}", which is a directory`);
    } catch {
      this.mistakes.push(`${name} names "${path}", which cannot be read`);
    }
    return path;
  }

  /** Reads a setting that names a folder. @returns the path of the file with the given name in it */
  readFileInFolder(setting: string, name: string): string | undefined {
    const folder = this.env[setting];
    if (!folder) return undefined;
    const path = join(resolve(folder), name);
    try {
      accessSync(path, constants.R_OK);
    } catch {
      this.mistakes.push(`${setting} names "${resolve(folder)}", whose ${name} cannot be read`);
    }
    return path;
  }

  /** The file need not exist yet, but its directory must. */
  readAppendedFilePath(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const path = resolve(value);
    try {
      const exists = existsSync(path);
      if (exists && statSync(path).isDirectory()) this.mistakes.push(`${name} names "${path}", which is a directory`);
      accessSync(exists ? path : dirname(path), constants.W_OK);
    } catch {
      this.mistakes.push(`${name} names "${path}", which cannot be written`);
    }
    return path;
  }

  /** Development certificates and keys are no protection against other machines, so development stays on this one. */
  requireLoopback({ https, management, databaseUrl, auditDatabaseUrl }: Config): void {
    const hosts = [
      ['PASSKEY_HTTPS_HOST', https.host],
      ['PASSKEY_MANAGEMENT_HOST', management.host],
      ['DATABASE_URL', this.findDatabaseHost(databaseUrl)],
      ['PASSKEY_AUDIT_DATABASE_URL', this.findDatabaseHost(auditDatabaseUrl)],
    ] as const;
    for (const [name, host] of hosts) {
      if (isLoopback(host)) continue;
      const ways = 'set NODE_ENV=production, or PASSKEY_ALLOW_DEVELOPMENT=true';
      this.mistakes.push(`${name} leaves this machine ("${host}"), which development does not allow: ${ways}`);
    }
  }

  /** Reads the URL as node-postgres does; a path names a Unix socket. */
  private findDatabaseHost(databaseUrl = 'none'): string {
    if (!/^postgres(?:ql)?:/.test(databaseUrl) || !URL.canParse(databaseUrl)) return 'localhost'; // absent, or reported already
    const { hostname, searchParams } = new URL(databaseUrl);
    return searchParams.get('host') || hostname || this.env['PGHOST'] || 'localhost';
  }

  readHttpUrl(name: string): string | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const url = URL.canParse(value) ? new URL(value) : undefined;
    const plain = url && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
    if (!plain) this.mistakes.push(`${name} must be an http or https URL without a user and a password`);
    return value;
  }

  /** Reads a list with the second and the third line of each checkpoint: its size, and its root in base64. */
  readCheckpoints(name: string): readonly { size: number; root: Buffer }[] | undefined {
    const value = this.env[name];
    if (!value) return undefined;
    const checkpoints = value.split(',').map((text) => {
      const [, size, root] = /^ ?([1-9]\d{0,14}) ([A-Za-z0-9+/]{43}=)$/.exec(text) ?? [];
      if (size === undefined || root === undefined)
        this.mistakes.push(`${name} must have the size of each checkpoint, a space and its root in base64`);
      return Object.freeze({ size: Number(size), root: Buffer.from(root ?? '', 'base64') });
    });
    return Object.freeze(checkpoints);
  }

  readDatabaseUrl(name: string, required: boolean): string | undefined {
    const value = this.env[name];
    if (!value) {
      if (required) this.mistakes.push(`${name} is not set; NODE_ENV=production does not use the embedded database`);
      return undefined;
    }
    const protocol = URL.canParse(value) ? new URL(value).protocol : '';
    if (protocol !== 'postgres:' && protocol !== 'postgresql:') {
      this.mistakes.push(`${name} must be a URL of the form postgresql://user:password@host:port/database`);
    }
    return value;
  }

  readDatabasePasswordFile(name: string, urlName: string): string | undefined {
    const path = this.readOptionalFilePath(name);
    if (path === undefined) return undefined;
    const url = this.env[urlName] || '';
    if (!url) this.mistakes.push(`${name} needs ${urlName}, which is not set`);
    else if (URL.canParse(url) && new URL(url).password !== '')
      this.mistakes.push(`${name} is set, and ${urlName} has a password too: remove one of them`);
    return path;
  }
}

function isLoopback(host: string): boolean {
  return /^(?:127(?:\.\d{1,3}){3}|\[?::1\]?|(?:.+\.)?localhost|(?:\/|%2f).*)$/i.test(host);
}
