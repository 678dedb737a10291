import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ConfigError, readConfig, type TlsFiles } from './config.js';
import { fillInTrustDomain } from './tls-files.js';

let directory: string;
const path = (...names: string[]): string => join(directory, ...names);
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-tls-files-'));
  mkdirSync(path('empty'));
  mkdirSync(path('spiffe'));
  for (const name of ['spiffe/credential-bundle.private-key.x509.pem', 'one.crt', 'one.key', 'ca.crt', 'ca.crl']) {
    writeFileSync(path(name), '');
  }
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const locate = (env: NodeJS.ProcessEnv): TlsFiles =>
  fillInTrustDomain(readConfig({ PASSKEY_DATA_DIR: path('data'), ...env }).tls, () => 'bank.example');

function findMistakes(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    return (error as ConfigError).mistakes;
  }
  return [];
}

const withoutTls = (mistakes: readonly string[]): readonly string[] =>
  mistakes.filter((mistake) => /TLS_|SPIFFE_/.test(mistake));

describe('short-lived certificates', () => {
  it.each([
    ['1h', 1],
    ['24h', 24],
    ['72h', 72],
  ])('may live %s', (value, hours) => {
    expect(locate({ PASSKEY_TLS_SHORT_LIVED: value })).toMatchObject({ shortLivedHours: hours, crlFile: undefined });
  });

  it.each(['0h', '73h', '100h', '24', '24 h', '24m', '1d', 'true', '-1h', '1.5h', '024h', '24h\n', 'P1D'])(
    'cannot be allowed by %j',
    (value) => {
      const mistake = `PASSKEY_TLS_SHORT_LIVED is "${value}"; it must be 1h to 72h`;
      expect(findMistakes({ PASSKEY_TLS_SHORT_LIVED: value })).toEqual([mistake]);
    },
  );

  it('need no list in production, where it is required otherwise', () => {
    const production = { NODE_ENV: 'production' };
    expect(findMistakes(production)).toContainEqual(expect.stringMatching(/^PASSKEY_TLS_CRL_FILE is not set/));
    const mistakes = findMistakes({ ...production, PASSKEY_TLS_SHORT_LIVED: '24h' });
    expect(mistakes).not.toContainEqual(expect.stringContaining('CRL_FILE'));
  });

  it('may have a list', () => {
    const files = locate({ PASSKEY_TLS_SHORT_LIVED: '24h', PASSKEY_TLS_CRL_FILE: path('ca.crl') });
    expect(files).toMatchObject({ crlFile: path('ca.crl'), shortLivedHours: 24 });
    const nowhere = { PASSKEY_TLS_SHORT_LIVED: '24h', PASSKEY_TLS_CRL_FILE: path('nowhere') };
    expect(findMistakes(nowhere)).toEqual([expect.stringMatching(/^PASSKEY_TLS_CRL_FILE names/)]);
  });
});

describe('a SPIFFE credential folder', () => {
  const bundle = (): string => path('spiffe', 'credential-bundle.private-key.x509.pem');
  const folder = (): NodeJS.ProcessEnv => ({ SPIFFE_CREDENTIAL_FOLDER: path('spiffe') });

  it('has the certificate and the key in one file, and the CA under the name of the trust domain', () => {
    expect(locate(folder())).toMatchObject({
      certFile: bundle(),
      keyFile: bundle(),
      caFile: path('spiffe', 'bank.example.spiffe-trust-bundle.x509.pem'),
    });
  });

  it('serves for production, too', () => {
    const env = { ...folder(), NODE_ENV: 'production', PASSKEY_TLS_SHORT_LIVED: '24h' };
    expect(withoutTls(findMistakes(env))).toEqual([]);
  });

  it('gives way to what a setting names: certificate and key together, the CA on its own', () => {
    const pair = { PASSKEY_TLS_CERT_FILE: path('one.crt'), PASSKEY_TLS_KEY_FILE: path('one.key') };
    expect(locate({ ...folder(), ...pair })).toMatchObject({
      certFile: path('one.crt'),
      keyFile: path('one.key'),
      caFile: path('spiffe', 'bank.example.spiffe-trust-bundle.x509.pem'),
    });
    expect(locate({ ...folder(), PASSKEY_TLS_CA_FILE: path('ca.crt') })).toMatchObject({
      certFile: bundle(),
      caFile: path('ca.crt'),
    });
  });

  it('does not complete a pair of which a setting names one file', () => {
    const env = { ...folder(), NODE_ENV: 'production', PASSKEY_TLS_SHORT_LIVED: '1h' };
    const mistakes = findMistakes({ ...env, PASSKEY_TLS_CERT_FILE: path('one.crt') });
    expect(withoutTls(mistakes)).toEqual([expect.stringMatching(/^PASSKEY_TLS_KEY_FILE is not set/)]);
  });

  it.each(['empty', 'nowhere', 'one.crt'])('must have the bundle: %s', (name) => {
    const mistake = `SPIFFE_CREDENTIAL_FOLDER names "${path(name)}", whose credential-bundle.private-key.x509.pem cannot be read`;
    expect(findMistakes({ SPIFFE_CREDENTIAL_FOLDER: path(name) })).toEqual([mistake]);
  });
});
