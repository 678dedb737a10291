import { join } from 'node:path';
import { type DatabaseSettings, describeDeparture, readDatabaseSettings } from './database-settings.js';
import { isLoopback } from './loopback.js';
import { Settings } from './settings.js';
import { readSignalLimits, readSignalSettings, type SignalLimits, type SignalSettings } from './signal-settings.js';
import { readTlsFiles } from './tls-files.js';
import { readTraceSettings, type TraceSettings } from './trace-settings.js';
import { describeUnknownSettings } from './unknown-settings.js';

/*
 * This folder holds what the service is told from outside: settings, secret keys, files and the time.
 *
 *  - config.ts reads the environment once into a frozen `Config`, and reports all mistakes together. settings.ts has the readers.
 *  - database-settings.ts reads how the database is reached, database-url.ts what a URL of libpq says, and tls-files.ts the settings
 *    of the listener's files, trace-settings.ts the variables of OpenTelemetry, and signal-settings.ts the settings of Shared Signals.
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
export interface Config extends DatabaseSettings {
  readonly production: boolean;
  /** True to allow the development CA, policy and keys in production, and development beyond loopback. */
  readonly allowDevelopment: boolean;
  readonly dataDir: string;
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
  /** The keys that sign receipts, the first one now; undefined: there are no receipts. */
  readonly receiptKeyFile?: string | undefined;
  /** How others are told of changes; undefined: they are not. */
  readonly signals?: SignalSettings | undefined;
  readonly signalLimits: SignalLimits;
  /** The FIDO metadata BLOB as FIDO publishes it; undefined if there is none. */
  readonly metadataBlobFile: string | undefined;
  /** The number of processes that serve. With 1, the process that reads the settings serves. */
  readonly workers: number;
  /** The percentage of a process's running requests that one caller may have. */
  readonly callerShare: number;
  /** How requests are traced; undefined: they are not. */
  readonly traces?: TraceSettings | undefined;
  /** A sentence for each variable that looks like a setting and is none. */
  readonly unknownSettings: readonly string[];
  /** The primary sets this; undefined in the only process. */
  readonly worker?: WorkerNumber | undefined;
}

/** True in one process of each replica, which does the work that one process can do for all. */
export function isFirstWorker({ worker }: Pick<Config, 'worker'>): boolean {
  return worker === undefined || worker.number === 1;
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
  const allowDevelopment = settings.readFlag('PASSKEY_ALLOW_DEVELOPMENT');
  const dataDir = settings.readDirectory('PASSKEY_DATA_DIR', '.data');
  const readGeneratedPath = (name: string, path: string, instead?: string): string =>
    settings.readFilePath(name, production ? undefined : join(dataDir, path), instead);
  const https = settings.readListener('PASSKEY_HTTPS', 8443);
  const config: Config = {
    production,
    allowDevelopment,
    dataDir,
    ...readDatabaseSettings(settings, { production, allowDevelopment }),
    logLevel: settings.readOneOf('PASSKEY_LOG_LEVEL', LOG_LEVELS, production ? 'info' : 'warn'),
    https,
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
    receiptKeyFile:
      settings.readOptionalFilePath('PASSKEY_RECEIPT_KEY_FILE') ??
      (production ? undefined : join(dataDir, 'receipt.key')),
    signals: readSignalSettings(
      settings,
      production ? undefined : { keyFile: join(dataDir, 'signal.key'), port: https.port },
    ),
    signalLimits: readSignalLimits(settings),
    metadataBlobFile: settings.readOptionalFilePath('PASSKEY_MDS_BLOB_FILE'),
    workers: settings.readWorkers('PASSKEY_WORKERS'),
    callerShare: settings.readPercent('PASSKEY_CALLER_SHARE', 25),
    traces: readTraceSettings(settings),
    unknownSettings: Object.freeze(describeUnknown()),
  };
  if (!production && !allowDevelopment) requireLoopback(config, settings.mistakes);
  if (settings.mistakes.length > 0) throw new ConfigError([...settings.mistakes, ...config.unknownSettings]);
  return Object.freeze(config);
}

/** Development certificates and keys are no protection against other machines, so development stays on this one. */
function requireLoopback({ https, management }: Config, mistakes: string[]): void {
  const hosts = [
    ['PASSKEY_HTTPS_HOST', https.host],
    ['PASSKEY_MANAGEMENT_HOST', management.host],
  ] as const;
  for (const [name, host] of hosts) {
    if (!isLoopback(host)) mistakes.push(describeDeparture(name, host));
  }
}
