import { generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Config, ConfigError, readConfig } from './config.js';
import { readSecretKeys } from './secret-keys.js';

const MASTER = randomBytes(32);
const AUDIT_KEY = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function createConfig(binding: string, audit = AUDIT_KEY): Config {
  writeFileSync(join(directory, 'binding.key'), binding);
  writeFileSync(join(directory, 'audit.key'), audit);
  return readConfig({ PASSKEY_DATA_DIR: directory });
}

const base64 = (bytes: Buffer): string => `${bytes.toString('base64')}\n`;

describe('a secret key file gives keys that', () => {
  it('are derived by HKDF-SHA-256 (RFC 5869), each for its purpose', () => {
    const derived = (purpose: string): Buffer =>
      Buffer.from(hkdfSync('sha256', MASTER, '', `passkey-manager/${purpose}/v1`, 32));
    const keys = readSecretKeys(createConfig(base64(MASTER)));
    const purposes = [
      'seal',
      'credential-binding',
      'relying-party',
      'approval',
      'decoy',
      'audit-subject',
      'challenge',
      'signal-secret',
    ];
    const [secret, credential, relyingParty, approval, decoy, auditSubject, challenge, signalSecret] =
      purposes.map(derived);
    expect(keys).toEqual({
      seals: [{ id: expect.stringMatching(/^[0-9a-f]{8}$/), secret, former: { credential, relyingParty, approval } }],
      decoy,
      auditSubjects: [auditSubject],
      signalSecrets: [signalSecret],
      challenges: [challenge],
    });
    expect(Object.isFrozen(keys)).toBe(true);
  });

  it('are the same at every start, whatever surrounds the key in the file', () => {
    const [one, two] = [base64(MASTER), `\n ${MASTER.toString('base64')} \r\n`].map((text) =>
      readSecretKeys(createConfig(text)),
    );
    expect(one).toEqual(two);
  });

  it('differ for another key', () => {
    const [one, two] = [MASTER, randomBytes(32)].map((key) => readSecretKeys(createConfig(base64(key))));
    expect(one?.seals[0].secret).not.toEqual(two?.seals[0].secret);
    expect(one?.seals[0].id).not.toBe(two?.seals[0].id);
    expect(one?.decoy).not.toEqual(two?.decoy);
  });

  it.each([32, 33, 64, 1_000])('are derived from %i bytes', (length) => {
    expect(readSecretKeys(createConfig(base64(randomBytes(length)))).seals[0].secret).toHaveLength(32);
  });
});

describe('PASSKEY_BINDING_KEY_FILE', () => {
  it('holds one key a line; the first one seals, and makes the decoys', () => {
    const [one, two] = [randomBytes(32), randomBytes(64)];
    const [both, first, second] = [base64(one) + base64(two), base64(one), base64(two)].map((text) =>
      readSecretKeys(createConfig(text)),
    );
    expect(both?.seals).toEqual([...first!.seals, ...second!.seals]);
    expect(both?.auditSubjects).toEqual([...first!.auditSubjects, ...second!.auditSubjects]);
    expect(both?.challenges).toEqual([...first!.challenges, ...second!.challenges]);
    expect(both?.decoy).toEqual(first?.decoy);
  });
});

describe('PASSKEY_CHALLENGE_KEYS_FILE', () => {
  const readKeys = (text: string): readonly Buffer[] => {
    const challengeKeysFile = join(directory, 'challenge.keys');
    writeFileSync(challengeKeysFile, text);
    return readSecretKeys({ ...createConfig(base64(MASTER)), challengeKeysFile }).challenges;
  };

  it('holds the keys of sealed challenges, one a line, the newest first', () => {
    const [one, two] = [randomBytes(32), randomBytes(64)];
    const both = readKeys(base64(one) + base64(two));
    expect(both).toEqual([...readKeys(base64(one)), ...readKeys(`\r\n${two.toString('base64')}\r\n\n`)]);
    expect(both[0]).not.toEqual(both[1]);
  });

  it('replaces the key that is derived from the binding key', () => {
    expect(readKeys(base64(randomBytes(32)))).not.toEqual(readSecretKeys(createConfig(base64(MASTER))).challenges);
    expect(readKeys(base64(MASTER))).toEqual(readSecretKeys(createConfig(base64(MASTER))).challenges);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['a short key after a good one', base64(randomBytes(32)) + base64(randomBytes(31))],
    ['two keys on one line', `${randomBytes(32).toString('base64')} ${randomBytes(32).toString('base64')}`],
    ['nine keys', Array.from({ length: 9 }, () => base64(randomBytes(32))).join('')],
    ['the same key twice', base64(MASTER).repeat(2)],
  ])('stops the boot if it holds %s', (_, text) => {
    expect(() => readKeys(text)).toThrow('PASSKEY_CHALLENGE_KEYS_FILE');
  });
});

describe('a file without a usable key stops the boot with an error that names it', () => {
  it.each<[string, string]>([
    ['nothing', ''],
    ['31 bytes', base64(randomBytes(31))],
    ['hexadecimal with colons', Array.from(randomBytes(32), (byte) => byte.toString(16)).join(':')],
    ['base64url', randomBytes(48).fill(0xff).toString('base64url')],
    ['raw bytes', randomBytes(64).toString('latin1')],
    ['the same key twice', base64(MASTER).repeat(2)],
    ['nine keys', Array.from({ length: 9 }, () => base64(randomBytes(32))).join('')],
    ['a passphrase', 'correct horse battery staple correct horse battery staple'],
    ['PEM', AUDIT_KEY],
  ])('when it is binding.key with %s', (_, text) => {
    expect(() => readSecretKeys(createConfig(text))).toThrow(ConfigError);
    expect(() => readSecretKeys(createConfig(text))).toThrow('PASSKEY_BINDING_KEY_FILE');
  });

  it('and does not quote its content', () => {
    const secret = `${'secret'.repeat(5)}!`;
    expect(() => readSecretKeys(createConfig(secret))).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('secretsecret') }),
    );
  });
});
