import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { type Config, ConfigError, readConfig } from '../config/config.js';
import { readLogKeys } from './log-keys.js';

const createPem = (algorithm: 'ed25519' | 'ml-dsa-44', passphrase?: string): string => {
  const { privateKey } = algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
  const encryption = passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase };
  return privateKey.export({ type: 'pkcs8', format: 'pem', ...encryption });
};

let directory: string;
const told: unknown[] = [];
beforeAll(() => {
  Logger.overrideLogger({ log: () => undefined, error: () => undefined, warn: (line) => told.push(line) });
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function createConfig(keys: string, passphrase?: string, env: NodeJS.ProcessEnv = {}): Config {
  writeFileSync(join(directory, 'audit.key'), keys);
  writeFileSync(join(directory, 'passphrase'), `${passphrase ?? ''}\n`);
  const file = passphrase === undefined ? {} : { PASSKEY_AUDIT_KEY_PASSPHRASE_FILE: join(directory, 'passphrase') };
  return readConfig({ PASSKEY_DATA_DIR: directory, ...file, ...env });
}

describe('the log’s key file', () => {
  it.each<[string, string, string[]]>([
    ['Ed25519 alone', createPem('ed25519'), ['ed25519']],
    ['both', createPem('ed25519') + createPem('ml-dsa-44'), ['ed25519', 'ml-dsa-44']],
    ['both, the other way round', createPem('ml-dsa-44') + createPem('ed25519'), ['ed25519', 'ml-dsa-44']],
  ])('may hold %s', (_, keys, algorithms) => {
    const { signers, verifierKeys } = readLogKeys(createConfig(keys));
    expect(signers.map(({ key }) => key.algorithm)).toEqual(algorithms);
    expect(verifierKeys.split('\n')).toHaveLength(algorithms.length + 1);
  });

  describe('without ML-DSA-44', () => {
    const warnings = (keys: string): unknown[] => {
      told.length = 0;
      readLogKeys(createConfig(keys));
      return told;
    };

    it('is used with a warning', () => {
      expect(warnings(createPem('ed25519'))).toEqual([
        { message: expect.stringContaining('PASSKEY_AUDIT_KEY_FILE holds no ML-DSA-44 key') },
      ]);
    });

    it.each<[string, string]>([
      ['both', createPem('ed25519') + createPem('ml-dsa-44')],
      ['ML-DSA-44 alone', createPem('ml-dsa-44')],
    ])('is not the case with %s', (_, keys) => {
      expect(warnings(keys)).toEqual([]);
    });
  });

  it('gives keys that are named after the deployment', () => {
    const { origin, verifierKeys } = readLogKeys(
      createConfig(createPem('ed25519'), undefined, { PASSKEY_DEPLOYMENT_NAME: 'eu-1' }),
    );
    expect(origin).toBe('passkey-manager/eu-1');
    expect(verifierKeys).toMatch(/^passkey-manager\/eu-1\+[0-9a-f]{8}\+/);
  });

  it('may hold encrypted keys', () => {
    const keys = createPem('ed25519', 'correct horse') + createPem('ml-dsa-44', 'correct horse');
    expect(readLogKeys(createConfig(keys, 'correct horse')).signers).toHaveLength(2);
    expect(() => readLogKeys(createConfig(keys, 'wrong'))).toThrow('PASSKEY_AUDIT_KEY_FILE');
    expect(() => readLogKeys(createConfig(keys))).toThrow('there is no passphrase');
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['a public key', generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })],
    ['half a key', createPem('ed25519').slice(0, 60)],
    ['base64', randomBytes(32).toString('base64')],
    ['three of a kind', createPem('ed25519') + createPem('ed25519') + createPem('ed25519')],
    ['a key for something else', generateKeyPairSync('x25519').privateKey.export({ type: 'pkcs8', format: 'pem' })],
  ])('stops the boot when it holds %s', (_, keys) => {
    expect(() => readLogKeys(createConfig(keys))).toThrow(ConfigError);
    expect(() => readLogKeys(createConfig(keys))).toThrow('PASSKEY_AUDIT_KEY_FILE');
  });
});
