import type { Settings } from './settings.js';

/** How changes are told to others by Shared Signals (docs/adr/0050-shared-signals.md). */
export interface SignalSettings {
  /** The keys that sign security event tokens. */
  readonly keyFile: string;
  /** The issuer of the tokens, and the beginning of the URLs by which receivers call the service: `https://host` or `https://host:port`. */
  readonly issuer: string;
  /** The files of pushes to receivers; undefined: receivers poll. */
  readonly push?: PushFiles | undefined;
}

export interface PushFiles {
  /** The receivers to which the service may connect (docs/runbook.md). */
  readonly receiversFile: string;
  /** The authorities of receivers' certificates; undefined: those that Node.js knows. */
  readonly caFile?: string | undefined;
  /** What the service shows to receivers that ask for a certificate; undefined: nothing. */
  readonly client?: { readonly certFile: string; readonly keyFile: string } | undefined;
}

/** What the outbox of signals may hold for a receiver that does not fetch them. */
export interface SignalLimits {
  readonly retentionHours: number;
  /** The most signals of one stream. */
  readonly mostWaiting: number;
}

export function readSignalLimits(settings: Settings): SignalLimits {
  const read = (name: string, fallback: string, form: RegExp, words: string): number => {
    const value = settings.env[name] || fallback;
    if (!form.test(value)) settings.mistakes.push(`${name} is "${value}"; it must be ${words}`);
    return Number.parseInt(value, 10);
  };
  return Object.freeze({
    retentionHours: read('PASSKEY_SIGNAL_RETENTION', '168h', /^(?!0)\d{1,4}h$/, '1h to 9999h'),
    mostWaiting: read('PASSKEY_SIGNAL_BACKLOG', '1000000', /^(?!0)\d{1,8}$/, 'a number from 1 to 99999999'),
  });
}

/** What a development start has generated, and where it listens. */
export interface SignalDefaults {
  readonly keyFile: string;
  readonly port: number;
}

/** @returns undefined: no signals are configured */
export function readSignalSettings(
  settings: Settings,
  defaults: SignalDefaults | undefined,
): SignalSettings | undefined {
  const keyFile = settings.readOptionalFilePath('PASSKEY_SIGNAL_KEY_FILE') ?? defaults?.keyFile;
  const issuer = readIssuer(settings) ?? (defaults && `https://localhost:${String(defaults.port)}`);
  const push = readPushFiles(settings);
  if (keyFile === undefined) return undefined;
  if (issuer === undefined)
    settings.mistakes.push('PASSKEY_SIGNAL_ISSUER is not set; PASSKEY_SIGNAL_KEY_FILE needs it');
  return Object.freeze({ keyFile, issuer: issuer ?? '', push });
}

/** SSF 1.0 §7.1: an https URL without query and fragment. The paths of the service follow it, so it has no path itself. */
function readIssuer(settings: Settings): string | undefined {
  const name = 'PASSKEY_SIGNAL_ISSUER';
  const value = settings.env[name];
  if (!value) return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:' || url.origin !== value)
    settings.mistakes.push(
      `${name} is "${value}"; it must be https:// and a host in lower case, with a port unless it is 443, and nothing after that`,
    );
  return value;
}

function readPushFiles(settings: Settings): PushFiles | undefined {
  const receiversFile = settings.readOptionalFilePath('PASSKEY_SIGNAL_PUSH_RECEIVERS_FILE');
  const caFile = settings.readOptionalFilePath('PASSKEY_SIGNAL_PUSH_CA_FILE');
  const certFile = settings.readOptionalFilePath('PASSKEY_SIGNAL_PUSH_CERT_FILE');
  const keyFile = settings.readOptionalFilePath('PASSKEY_SIGNAL_PUSH_KEY_FILE') ?? certFile;
  if (receiversFile === undefined) return undefined;
  if (keyFile !== undefined && certFile === undefined)
    settings.mistakes.push('PASSKEY_SIGNAL_PUSH_CERT_FILE is not set; PASSKEY_SIGNAL_PUSH_KEY_FILE needs it');
  const client = certFile === undefined || keyFile === undefined ? undefined : Object.freeze({ certFile, keyFile });
  return Object.freeze({ receiversFile, caFile, client });
}
