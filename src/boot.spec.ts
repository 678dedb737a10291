import 'reflect-metadata';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessPolicyError } from './access/access-policy.js';
import { startService } from './boot.js';
import { ConfigError, readConfig } from './config/config.js';
import { prepareDevelopment } from './config/development.js';

let made: string;
let dataDir: string;
beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'passkey-manager-boot-'));
  await prepareDevelopment(join(made, 'template'));
});
afterAll(() => {
  rmSync(made, { recursive: true });
});
beforeEach(() => {
  dataDir = mkdtempSync(join(made, 'data-'));
  cpSync(join(made, 'template'), dataDir, { recursive: true });
});

const pki = (name: string): string => join(dataDir, 'pki', name);

/** Before there is a database: what is wrong with the files is told first. */
async function refusal(env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const config = readConfig({
    PASSKEY_DATA_DIR: dataDir,
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none',
    ...env,
  });
  return startService(config).then(
    () => 'started',
    (error: unknown) => error,
  );
}

describe('files that cannot be used stop the boot by a ConfigError', () => {
  it.each<[string, NodeJS.ProcessEnv | (() => NodeJS.ProcessEnv), string]>([
    ['a key of another certificate', () => ({ PASSKEY_TLS_KEY_FILE: pki('operator.key') }), 'PASSKEY_TLS_KEY_FILE: is the key of another certificate'],
    ['a certificate for a key', () => ({ PASSKEY_TLS_KEY_FILE: pki('server.crt') }), 'PASSKEY_TLS_KEY_FILE: holds no private key'],
    ['a certificate for a revocation list', () => ({ PASSKEY_TLS_CRL_FILE: pki('ca.crt') }), 'PASSKEY_TLS_CRL_FILE: holds no revocation list'],
    ['a key for a certificate', () => ({ PASSKEY_TLS_CERT_FILE: pki('server.key') }), 'PASSKEY_TLS_CERT_FILE: holds no certificate'],
    ['a key for a CA', () => ({ PASSKEY_TLS_CA_FILE: pki('server.key') }), 'PASSKEY_TLS_CA_FILE: holds no certificate'],
    ['a caller’s certificate', () => ({ PASSKEY_TLS_CERT_FILE: pki('operator.crt'), PASSKEY_TLS_KEY_FILE: pki('operator.key') }), 'PASSKEY_TLS_CERT_FILE: extended key usage lacks serverAuth'],
  ])('%s', async (_, env, told) => {
    const error = await refusal(typeof env === 'function' ? env() : env);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).mistakes).toEqual([expect.stringContaining(told)]);
  }); // prettier-ignore

  it('a revocation list that OpenSSL cannot parse', async () => {
    const list = readFileSync(pki('ca.crl'), 'utf8');
    writeFileSync(pki('ca.crl'), list.replace('\n', '\nAAAA'));
    expect(await refusal()).toBeInstanceOf(ConfigError);
  });

  it('and say nothing of what is in them', async () => {
    const key = readFileSync(pki('server.key'), 'utf8');
    writeFileSync(pki('server.key'), key.slice(0, 100));
    const error = await refusal();
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).not.toContain(key.split('\n')[1]!.slice(0, 20));
  });
});

describe('an access policy that cannot be used stops the boot', () => {
  it('by all its mistakes', async () => {
    writeFileSync(join(dataDir, 'access-policy.yaml'), 'version: 2\n');
    expect(await refusal()).toBeInstanceOf(AccessPolicyError);
  });
});
