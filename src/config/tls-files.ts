import { join } from 'node:path';
import type { TlsFiles } from './config.js';
import type { Settings } from './settings.js';

/** The names of SPIFFE's filesystem delivery (https://github.com/spiffe/spiffe/pull/376, not yet adopted). */
const CREDENTIAL_BUNDLE = 'credential-bundle.private-key.x509.pem';
const TRUST_BUNDLE = '.spiffe-trust-bundle.x509.pem';

/** Stands in the path of the CA file for the trust domain, which only the access policy knows. */
const TRUST_DOMAIN_IN_PATH = '<trust-domain>';

/** Completes the path of the CA file. @param getTrustDomain is called only if the path needs it */
export function fillInTrustDomain(files: TlsFiles, getTrustDomain: () => string): TlsFiles {
  return { ...files, caFile: files.caFile.replace(TRUST_DOMAIN_IN_PATH, getTrustDomain) };
}

/** Beyond this a certificate is not short-lived: whoever steals its key may use it until it ends. */
const MAX_SHORT_LIVED_HOURS = 72;

const WITHOUT_LIST = `: name a revocation list, or set PASSKEY_TLS_SHORT_LIVED if no caller’s certificate lives longer than ${String(MAX_SHORT_LIVED_HOURS)} hours`;

/**
 * Reads which files the listener uses. Each comes from its own setting, else from the folder that SPIFFE_CREDENTIAL_FOLDER
 * names, else from what development generates.
 */
export function readTlsFiles(
  settings: Settings,
  readGeneratedPath: (name: string, path: string, instead?: string) => string,
): Readonly<TlsFiles> {
  const shortLivedHours = readShortLivedHours(settings);
  const bundle = settings.readFileInFolder('SPIFFE_CREDENTIAL_FOLDER', CREDENTIAL_BUNDLE);
  const readPath = (name: string, inFolder: string | undefined, generated: string): string =>
    (bundle === undefined ? undefined : (settings.readOptionalFilePath(name) ?? inFolder)) ??
    readGeneratedPath(name, generated);
  const ownPair = settings.env['PASSKEY_TLS_CERT_FILE'] || settings.env['PASSKEY_TLS_KEY_FILE'];
  const pair = ownPair ? undefined : bundle;
  return Object.freeze({
    certFile: readPath('PASSKEY_TLS_CERT_FILE', pair, 'pki/server.crt'),
    keyFile: readPath('PASSKEY_TLS_KEY_FILE', pair, 'pki/server.key'),
    keyPassphraseFile: settings.readOptionalFilePath('PASSKEY_TLS_KEY_PASSPHRASE_FILE'),
    caFile: readPath('PASSKEY_TLS_CA_FILE', bundle && locateTrustBundle(bundle), 'pki/ca.crt'),
    crlFile:
      shortLivedHours === undefined
        ? readGeneratedPath('PASSKEY_TLS_CRL_FILE', 'pki/ca.crl', WITHOUT_LIST)
        : settings.readOptionalFilePath('PASSKEY_TLS_CRL_FILE'),
    shortLivedHours,
  });
}

const locateTrustBundle = (bundle: string): string => join(bundle, '..', `${TRUST_DOMAIN_IN_PATH}${TRUST_BUNDLE}`);

function readShortLivedHours(settings: Settings): number | undefined {
  const name = 'PASSKEY_TLS_SHORT_LIVED';
  const value = settings.env[name];
  if (!value) return undefined;
  const [, digits] = /^([1-9]\d?)h$/.exec(value) ?? [];
  const hours = Number(digits ?? Number.NaN);
  if (!(hours <= MAX_SHORT_LIVED_HOURS)) {
    settings.mistakes.push(`${name} is "${value}"; it must be 1h to ${String(MAX_SHORT_LIVED_HOURS)}h`);
  }
  return hours;
}
