import { readFileSync, statSync } from 'node:fs';
import { type DatabaseUrl, DatabaseUrlError, isLocal, parseDatabaseUrl } from './database-url.js';
import { isLoopback } from './loopback.js';
import type { Settings } from './settings.js';

/** How the database is reached. */
export interface DatabaseSettings {
  /** The URL of PostgreSQL 15 or later; undefined for the embedded database in the data directory. */
  readonly databaseUrl: string | undefined;
  /** The file of the database password, for a URL without one. */
  readonly databasePasswordFile?: string | undefined;
  /** The same database with the login that writes the transparency log; undefined: that of `databaseUrl` does. */
  readonly auditDatabaseUrl?: string | undefined;
  /** The file of the password of that login, for a URL without one. */
  readonly auditDatabasePasswordFile?: string | undefined;
}

export interface DatabaseLogin {
  readonly url: string;
  readonly passwordFile: string | undefined;
}

/** The settings that name a login. */
interface LoginNames {
  readonly url: string;
  readonly urlFile: string;
  readonly passwordFile: string;
}

export const SERVICE_LOGIN: LoginNames = {
  url: 'DATABASE_URL',
  urlFile: 'DATABASE_URL_FILE',
  passwordFile: 'PASSKEY_DATABASE_PASSWORD_FILE',
};
const AUDIT_LOGIN: LoginNames = {
  url: 'PASSKEY_AUDIT_DATABASE_URL',
  urlFile: 'PASSKEY_AUDIT_DATABASE_URL_FILE',
  passwordFile: 'PASSKEY_AUDIT_DATABASE_PASSWORD_FILE',
};
/** Lifts the rule `verified`. */
export const ALLOW_UNVERIFIED = 'PASSKEY_ALLOW_UNVERIFIED_DATABASE';

/**
 * Which database may be used: `local`, on this machine; `verified`, also on another one that proves by TLS that it is the
 * database; or any.
 */
export type ReachRule = 'local' | 'verified' | 'any';

const MAX_URL_BYTES = 16_384;

export function readDatabaseSettings(
  settings: Settings,
  rules: { readonly production: boolean; readonly allowDevelopment: boolean },
): DatabaseSettings {
  const { production, allowDevelopment } = rules;
  const allowUnverified = settings.readFlag(ALLOW_UNVERIFIED);
  const reach = production ? (allowUnverified ? 'any' : 'verified') : allowDevelopment ? 'any' : 'local';
  const service = readDatabaseLogin(settings, SERVICE_LOGIN, reach);
  const audit = readDatabaseLogin(settings, AUDIT_LOGIN, reach);
  if (!service && production && !settings.env['DATABASE_URL_FILE']) {
    settings.mistakes.push('DATABASE_URL is not set; NODE_ENV=production does not use the embedded database');
  }
  return {
    databaseUrl: service?.url,
    databasePasswordFile: service?.passwordFile,
    auditDatabaseUrl: audit?.url,
    auditDatabasePasswordFile: audit?.passwordFile,
  };
}

/** @returns undefined if there is no URL, or its file cannot be read */
export function readDatabaseLogin(settings: Settings, names: LoginNames, reach: ReachRule): DatabaseLogin | undefined {
  const url = readUrl(settings, names);
  const passwordFile = settings.readOptionalFilePath(names.passwordFile);
  if (url === undefined) {
    if (passwordFile !== undefined && !settings.env[names.urlFile])
      settings.mistakes.push(`${names.passwordFile} needs ${names.url}, which is not set`);
    return undefined;
  }
  const parsed = parse(settings, names, url);
  if (parsed) {
    const mistake = findReachMistake(names.url, parsed, reach);
    if (mistake !== undefined) settings.mistakes.push(mistake);
    if (passwordFile !== undefined && parsed.password !== undefined)
      settings.mistakes.push(`${names.passwordFile} is set, and ${names.url} has a password too: remove one of them`);
  }
  return { url, passwordFile };
}

/** A host that leaves this machine, which development does not allow. */
export function describeDeparture(name: string, host: string): string {
  const ways = 'set NODE_ENV=production, or PASSKEY_ALLOW_DEVELOPMENT=true';
  return `${name} leaves this machine ("${host}"), which development does not allow: ${ways}`;
}

function readUrl(settings: Settings, names: LoginNames): string | undefined {
  const url = settings.env[names.url] || undefined;
  const path = settings.readOptionalFilePath(names.urlFile);
  if (path === undefined) return url;
  if (url !== undefined) settings.mistakes.push(`${names.url} and ${names.urlFile} are both set: remove one of them`);
  try {
    const { size } = statSync(path);
    if (size > MAX_URL_BYTES) settings.mistakes.push(`${names.urlFile} names a file of more than 16 KiB`);
    else return readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch {
    // readOptionalFilePath has reported it.
  }
  return undefined;
}

function parse(settings: Settings, names: LoginNames, url: string): DatabaseUrl | undefined {
  try {
    return parseDatabaseUrl(url, settings.env);
  } catch (error) {
    if (!(error instanceof DatabaseUrlError)) throw error;
    settings.mistakes.push(`${names.url} ${error.message}`);
    return undefined;
  }
}

function findReachMistake(name: string, url: DatabaseUrl, reach: ReachRule): string | undefined {
  if (reach === 'any' || isLocal(url)) return undefined;
  const host = url.servers.find((server) => !isLoopback(server.host))?.host ?? '';
  if (reach === 'local') return describeDeparture(name, host);
  if (url.tls.mode === 'verify-full') return undefined;
  const ways = `add ?sslmode=verify-full&sslrootcert=/path/to/ca.crt, or set ${ALLOW_UNVERIFIED}=true`;
  return `${name} leads to another machine ("${host}") that does not have to prove by TLS that it is the database (PCI DSS 4.2.1): ${ways}`;
}
