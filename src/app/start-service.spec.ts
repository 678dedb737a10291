import 'reflect-metadata';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { AccessPolicyError } from '../access/access-policy.js';
import { startService, openSettings } from './start-service.js';
import { systemClock } from '../config/clock.js';
import { ConfigError, readConfig } from '../config/config.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { TrustFiles } from '../../test/support/trust-files.js';

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

/** Gives the error of a start without a database: mistakes in the files are reported first. */
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

describe('a file that cannot be used stops the boot by a ConfigError', () => {
  it.each<[string, NodeJS.ProcessEnv | (() => NodeJS.ProcessEnv), string]>([
    [
      'a key of another certificate',
      () => ({ PASSKEY_TLS_KEY_FILE: pki('operator.key') }),
      'PASSKEY_TLS_KEY_FILE: is the key of another certificate',
    ],
    [
      'a certificate for a key',
      () => ({ PASSKEY_TLS_KEY_FILE: pki('server.crt') }),
      'PASSKEY_TLS_KEY_FILE: holds no private key',
    ],
    [
      'a certificate for a revocation list',
      () => ({ PASSKEY_TLS_CRL_FILE: pki('ca.crt') }),
      'PASSKEY_TLS_CRL_FILE: holds no revocation list',
    ],
    [
      'a key for a certificate',
      () => ({ PASSKEY_TLS_CERT_FILE: pki('server.key') }),
      'PASSKEY_TLS_CERT_FILE: holds no certificate',
    ],
    ['a key for a CA', () => ({ PASSKEY_TLS_CA_FILE: pki('server.key') }), 'PASSKEY_TLS_CA_FILE: holds no certificate'],
    [
      'a caller’s certificate',
      () => ({ PASSKEY_TLS_CERT_FILE: pki('operator.crt'), PASSKEY_TLS_KEY_FILE: pki('operator.key') }),
      'PASSKEY_TLS_CERT_FILE: extended key usage lacks serverAuth',
    ],
  ])('%s', async (_, env, told) => {
    const error = await refusal(typeof env === 'function' ? env() : env);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).mistakes).toEqual([expect.stringContaining(told)]);
  });

  it('a revocation list that OpenSSL cannot parse', async () => {
    const list = readFileSync(pki('ca.crl'), 'utf8');
    writeFileSync(pki('ca.crl'), list.replace('\n', '\nAAAA'));
    expect(await refusal()).toBeInstanceOf(ConfigError);
  });

  it('whose message does not quote its content', async () => {
    const key = readFileSync(pki('server.key'), 'utf8');
    writeFileSync(pki('server.key'), key.slice(0, 100));
    const error = await refusal();
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).not.toContain(key.split('\n')[1]!.slice(0, 20));
  });
});

describe('an access policy that cannot be used stops the boot', () => {
  it('with all its mistakes', async () => {
    writeFileSync(join(dataDir, 'access-policy.yaml'), 'version: 2\n');
    expect(await refusal()).toBeInstanceOf(AccessPolicyError);
  });
});

describe('production', () => {
  const named = (): NodeJS.ProcessEnv => ({
    NODE_ENV: 'production',
    PASSKEY_TLS_CERT_FILE: pki('server.crt'),
    PASSKEY_TLS_KEY_FILE: pki('server.key'),
    PASSKEY_TLS_CA_FILE: pki('ca.crt'),
    PASSKEY_TLS_CRL_FILE: pki('ca.crl'),
    PASSKEY_ACCESS_POLICY_FILE: join(dataDir, 'access-policy.yaml'),
    PASSKEY_AUDIT_KEY_FILE: join(dataDir, 'audit.key'),
    PASSKEY_BINDING_KEY_FILE: join(dataDir, 'binding.key'),
    PASSKEY_RECEIPT_KEY_FILE: join(dataDir, 'receipt.key'),
    PASSKEY_SIGNAL_KEY_FILE: join(dataDir, 'signal.key'),
    PASSKEY_SIGNAL_ISSUER: 'https://passkeys.bank.example',
  });
  const mistakes = async (): Promise<readonly string[]> => {
    const error = await refusal(named());
    return error instanceof ConfigError ? error.mistakes : [];
  };
  const generated = (name: string): string =>
    `PASSKEY_${name}_FILE names a file that development generated: make your own (docs/deployment.md); only a trial may set PASSKEY_ALLOW_DEVELOPMENT=true`;

  it('refuses the CA, the policy and the keys that development generated, all in one message', async () => {
    const names = ['TLS_CERT', 'TLS_CA', 'ACCESS_POLICY', 'AUDIT_KEY', 'BINDING_KEY', 'RECEIPT_KEY', 'SIGNAL_KEY'];
    expect(await mistakes()).toEqual(names.map(generated));
  });

  it('refuses one of them among production’s own files', async () => {
    const own = await TrustFiles.create();
    try {
      for (const name of ['server.crt', 'server.key', 'ca.crt', 'ca.crl']) cpSync(own.path(name), pki(name));
      const policy = join(dataDir, 'access-policy.yaml');
      writeFileSync(policy, readFileSync(policy, 'utf8').replaceAll('passkey-manager.local', 'bank.example'));
      for (const key of ['audit.key', 'receipt.key', 'signal.key'].map((name) => join(dataDir, name)))
        writeFileSync(key, readFileSync(key, 'utf8').replaceAll(/^Passkey.*$/gm, ''));
      expect(await mistakes()).toEqual([generated('BINDING_KEY')]);
    } finally {
      own.remove();
    }
  });

  it('accepts them when that is allowed', async () => {
    expect(String(await refusal({ ...named(), PASSKEY_ALLOW_DEVELOPMENT: 'true' }))).toContain('ECONNREFUSED');
  });

  it('refuses the CA that development generated after the start too', async () => {
    const own = await TrustFiles.create();
    try {
      for (const name of ['server.crt', 'server.key', 'ca.crt', 'ca.crl']) cpSync(pki(name), join(dataDir, name));
      const config = {
        ...readConfig({ ...named(), DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' }),
        tls: own.files,
      };
      for (const file of [config.accessPolicyFile]) {
        writeFileSync(file, readFileSync(file, 'utf8').replaceAll('passkey-manager.local', 'bank.example'));
      }
      writeFileSync(config.bindingKeyFile, Buffer.alloc(32, 7).toString('base64'));
      for (const file of [config.auditKeyFile, config.receiptKeyFile!, config.signals!.keyFile])
        writeFileSync(file, 'a key of its own');
      const { trust, policy } = await openSettings(config, systemClock);
      for (const name of ['server.crt', 'server.key', 'ca.crt', 'ca.crl']) cpSync(join(dataDir, name), own.path(name));
      const refused = Promise.withResolvers<string>();
      trust.watch({
        onReloaded: () => {
          refused.resolve('taken');
        },
        onRefused: refused.resolve,
      });
      expect(await refused.promise).toContain(generated('TLS_CA'));
      await Promise.all([trust.close(), policy.close()]);
    } finally {
      own.remove();
    }
  });
});
