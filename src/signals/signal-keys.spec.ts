import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { ConfigError } from '../config/config.js';
import { MARK } from '../config/development.js';
import { Problem } from '../http/problem.js';
import type { JwtAlgorithm } from '../signing-keys/sign-jwt.js';
import { Metrics } from '../telemetry/metrics.js';
import { SignalKeys } from './signal-keys.js';

const toPem = ({ privateKey }: { privateKey: KeyObject }): string =>
  privateKey.export({ type: 'pkcs8', format: 'pem' });
const RSA = toPem(generateKeyPairSync('rsa', { modulusLength: 2_048 }));
const OTHER_RSA = toPem(generateKeyPairSync('rsa', { modulusLength: 3_072 }));
const PSS = toPem(generateKeyPairSync('rsa-pss', { modulusLength: 2_048 }));
const P256 = toPem(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
const ED25519 = toPem(generateKeyPairSync('ed25519'));
const ISSUER = 'https://passkeys.bank.example';
const CLAIMS = {
  iss: ISSUER,
  jti: 'j-1',
  iat: 1,
  aud: 'receiver',
  txn: 't-1',
  sub_id: { format: 'opaque', id: 's-1' },
  events: {},
} as const;

Logger.overrideLogger(false);

let directory: string;
let file: string;
let audit: FakeAudit;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-signals-'));
  file = join(directory, 'signal.key');
  audit = new FakeAudit();
});
afterEach(() => rm(directory, { recursive: true }));

async function open(content: string): Promise<SignalKeys> {
  await writeFile(file, content);
  const config = { signals: { keyFile: file, issuer: ISSUER }, production: true, allowDevelopment: false };
  const keys = new SignalKeys(config, new Metrics(), audit.service);
  await keys.onModuleInit();
  return keys;
}

/** The service reads a file twice before it reports that it cannot use it. */
async function change(keys: SignalKeys, content: string): Promise<void> {
  await writeFile(file, content);
  await keys.reload();
  await keys.reload();
}

const getSet = (keys: SignalKeys): JSONWebKeySet => JSON.parse(keys.published.body) as JSONWebKeySet;

async function verify(set: string, keys: SignalKeys): Promise<unknown> {
  const options = { issuer: ISSUER, typ: 'secevent+jwt' };
  const { payload, protectedHeader } = await jwtVerify(set, createLocalJWKSet(getSet(keys)), options);
  return { ...payload, ...protectedHeader };
}

describe('PASSKEY_SIGNAL_KEY_FILE', () => {
  it('leaves threads to others while many SETs are signed', async () => {
    const keys = await open(RSA);
    let signed = 0;
    const all = Array.from({ length: 200 }, async () => {
      await keys.sign(CLAIMS, { algorithm: 'RS256' });
      signed += 1;
    });
    await stat(file);
    expect(signed).toBeLessThan(50);
    await Promise.all(all);
    expect(signed).toBe(200);
  });

  it.each<JwtAlgorithm>(['RS256', 'PS256', 'ES256', 'Ed25519'])('signs for a stream by %s', async (algorithm) => {
    const keys = await open([RSA, P256, PSS, ED25519, OTHER_RSA].join('\n'));
    const set = await keys.sign(CLAIMS, { algorithm });
    const kid = getSet(keys).keys.find(({ alg }) => alg === algorithm)!.kid;
    expect(await verify(set, keys)).toEqual({
      ...CLAIMS,
      typ: 'secevent+jwt',
      alg: algorithm,
      kid,
    });
    expect(keys.chooseAlgorithm(algorithm)).toBe(algorithm);
  });

  it('lets a receiver choose among the algorithms of its keys alone, and by itself takes RS256', async () => {
    const keys = await open(RSA + P256);
    expect(keys.chooseAlgorithm(undefined)).toBe('RS256');
    for (const wanted of ['Ed25519', 'HS256', 'none', 'rs256'])
      expect(() => keys.chooseAlgorithm(wanted)).toThrow(
        expect.objectContaining({
          members: {
            invalid: [{ pointer: '/signing_algorithm', detail: expect.stringContaining('RS256, ES256') as unknown }],
          },
        }),
      );
  });

  it('signs by RS256 for a stream whose algorithm has no key any more', async () => {
    const keys = await open(RSA + P256);
    await change(keys, RSA);
    expect(await verify(await keys.sign(CLAIMS, { algorithm: 'ES256' }), keys)).toMatchObject({ alg: 'RS256' });
  });

  it('publishes no private member', async () => {
    const keys = await open([RSA, P256, PSS, ED25519].join(''));
    const members = getSet(keys).keys.map((key) => Object.keys(key).sort().join(' '));
    expect(members).toEqual([
      'alg e kid kty n use',
      'alg crv kid kty use x y',
      'alg e kid kty n use',
      'alg crv kid kty use x',
    ]);
  });

  it('publishes a key before it signs, and after it', async () => {
    const keys = await open(RSA);
    const [old] = getSet(keys).keys;
    const before = await keys.sign(CLAIMS, { algorithm: 'RS256' });
    await change(keys, OTHER_RSA + RSA);
    const after = await keys.sign(CLAIMS, { algorithm: 'RS256' });
    const signs = keys.describeState()!.signs;
    expect(await verify(before, keys)).toMatchObject({ kid: old!.kid });
    expect(await verify(after, keys)).toMatchObject({ kid: signs });
    expect(signs).not.toBe(old!.kid);
    expect(audit.entries).toMatchObject([{ type: 'signal-keys.reload', outcome: 'success' }]);
  });

  it('may be missing, and then nothing is configured', async () => {
    const keys = new SignalKeys({ production: true, allowDevelopment: false }, new Metrics(), audit.service);
    await keys.onModuleInit();
    await keys.reload();
    expect([keys.isConfigured, keys.describeState()]).toEqual([false, undefined]);
    for (const read of [
      () => keys.issuer,
      () => keys.published,
      () => keys.chooseAlgorithm('ES256'),
      () => keys.sign(CLAIMS, { algorithm: 'RS256' }),
    ])
      expect(read).toThrow(new Problem('signals-not-configured'));
  });

  const shortRsa = (): string => toPem(generateKeyPairSync('rsa', { modulusLength: 1_024 }));
  const longSalt = (): string =>
    toPem(
      generateKeyPairSync('rsa-pss', { modulusLength: 2_048, hashAlgorithm: 'sha512', mgf1HashAlgorithm: 'sha512' }),
    );
  const MISTAKES: [string, () => string, string][] = [
    ['a short RSA key', shortRsa, 'cannot be used: key 1 is neither RSA of 2048 bits or more'],
    ['an RSA-PSS key for another digest', () => RSA + longSalt(), 'cannot be used: key 2 does not sign by PS256'],
    ['another key before the RSA key', () => P256 + RSA, 'cannot be used: its first key must be RSA'],
    ['an RSA key for PSS alone', () => PSS, 'cannot be used: its first key must be RSA'],
    ['a key twice', () => RSA + RSA, 'has a key twice'],
    ['a key that development generated', () => `${MARK}\n${RSA}`, 'holds a key that development generated'],
  ];

  it.each(MISTAKES)('stops the boot if it holds %s, and says so', async (_, content, message) => {
    const opened = open(content());
    await expect(opened).rejects.toThrow(ConfigError);
    await expect(opened).rejects.toThrow(`PASSKEY_SIGNAL_KEY_FILE: "${file}" ${message}`);
  });

  it.each(MISTAKES)('changes nothing if it holds %s later, and that is reported', async (_, content, message) => {
    const keys = await open(RSA);
    const before = getSet(keys);
    await change(keys, content());
    expect(getSet(keys)).toEqual(before);
    expect(keys.describeState()!.refused).toContain(message);
    const detail = expect.stringContaining(message);
    expect(audit.entries).toMatchObject([{ type: 'signal-keys.reload', outcome: 'failure', detail }]);
  });
});
