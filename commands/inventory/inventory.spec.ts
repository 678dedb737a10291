import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readConfig } from '../../src/config/config.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { readTrustMaterial } from '../../src/identity/trust-material.js';
import { Pki } from '../../test/support/pki.js';
import { type Inventory, takeInventory } from './inventory.js';
import { probeOffers } from './listener.js';
import { formatInventory } from './table.js';

const NOW = new Date();
const PASSPHRASE = 'correct horse battery staple';
const DATABASE_URL = 'postgresql://service:s3cr3t-w0rd@127.0.0.1:1/passkeys?sslmode=verify-full';

let directory: string;
const path = (name: string): string => join(directory, name);
const take = (env: NodeJS.ProcessEnv = {}): Promise<Inventory> =>
  takeInventory(readConfig({ PASSKEY_DATA_DIR: directory, ...env }), NOW);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-inventory-'));
  await prepareDevelopment(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

describe('the inventory of the listener', () => {
  it('lists one protocol, and the post-quantum key exchange first', async () => {
    const { listener } = await take();
    expect(listener).toMatchObject({
      protocols: ['TLSv1.3'],
      keyExchange: [
        { name: 'X25519MLKEM768', postQuantum: 'hybrid' },
        { name: 'X25519', postQuantum: 'no' },
        { name: 'P-256', postQuantum: 'no' },
        { name: 'P-384', postQuantum: 'no' },
      ],
      alpn: ['http/1.1'],
    });
    expect(listener?.cipherSuites.map(({ name }) => name)).toEqual([
      'TLS_AES_256_GCM_SHA384',
      'TLS_CHACHA20_POLY1305_SHA256',
      'TLS_AES_128_GCM_SHA256',
    ]);
    expect(listener?.signatures).toContainEqual({ name: 'ECDSA+SHA256', postQuantum: 'no' });
    expect(listener?.signatures.filter(({ name }) => /SHA1$|MD5/.test(name))).toEqual([]);
  });

  it('is measured, so that another configuration gives another inventory', async () => {
    const { tls } = readConfig({ PASSKEY_DATA_DIR: directory });
    const { context } = await readTrustMaterial(tls, NOW);
    const offers = await probeOffers({ ...context, minVersion: 'TLSv1.2', ecdhCurve: 'P-521' });
    expect(offers.protocols).toEqual(['TLSv1.2', 'TLSv1.3']);
    expect(offers.keyExchange.map(({ name }) => name)).toEqual(['P-521']);
    expect(offers.cipherSuites).toContainEqual({ name: 'ECDHE-ECDSA-AES256-GCM-SHA384', postQuantum: 'no' });
  });
});

describe('the inventory of keys', () => {
  it('lists them by algorithm, size, file and the fingerprint of the public part', async () => {
    const { keys } = await take();
    const described = keys.map(({ algorithm, size, where, postQuantum }) => [algorithm, size, where, postQuantum]);
    expect(described).toEqual([
      ['EC', 'P-256', path('pki/server.key'), 'no'],
      ['Ed25519', '256 bit', path('audit.key'), 'no'],
      ['ML-DSA-44', '1312 bytes', path('audit.key'), 'yes'],
      ['HKDF-SHA-256', '520 bit', path('binding.key'), 'yes'],
      ['HMAC-SHA-256', '256 bit', path('binding.key'), 'yes'],
      ['HMAC-SHA-256', '256 bit', path('binding.key'), 'yes'],
      ['HMAC-SHA-256', '256 bit', path('binding.key'), 'yes'],
      ['HMAC-SHA-256', '256 bit', path('binding.key'), 'yes'],
      ['AES-256-GCM', '256 bit', path('binding.key'), 'yes'],
      ['EC', 'P-256', path('receipt.key'), 'no'],
      ['RSA', '2048 bit', path('signal.key'), 'no'],
    ]);
    expect(keys.map(({ fingerprint }) => fingerprint !== '')).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
      false,
      false,
      true,
      true,
    ]);
  });

  it('includes encrypted keys', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const cipher = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE };
    await writeFile(path('encrypted.key'), privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }));
    await writeFile(path('passphrase'), `${PASSPHRASE}\n`);
    const files = { KEY_FILE: path('encrypted.key'), KEY_PASSPHRASE_FILE: path('passphrase') };
    const { keys } = await take(Object.fromEntries(Object.entries(files).map(([k, v]) => [`PASSKEY_TLS_${k}`, v])));
    expect(keys[0]).toMatchObject({ algorithm: 'RSA', size: '2048 bit' });
  });
});

describe('the inventory of certificates and revocation lists', () => {
  it('lists them with their names, validity, days left, keys and signatures', async () => {
    const { certificates } = await take();
    const server = new X509Certificate(await readFile(path('pki/server.crt')));
    expect(certificates[0]).toMatchObject({
      what: 'server',
      where: path('pki/server.crt'),
      subject: 'CN=localhost',
      issuer: 'CN=Passkey Manager development CA',
      serial: server.serialNumber.toLowerCase(),
      holds: 'EC, P-256',
      signature: 'ecdsa-with-SHA256',
      notAfter: server.validToDate.toISOString(),
      postQuantum: 'no',
      fingerprint: server.fingerprint256.replaceAll(':', '').toLowerCase(),
    });
    expect([396, 397]).toContain(certificates[0]?.daysLeft);
    expect(certificates[1]).toMatchObject({ what: 'authority of callers', where: path('pki/ca.crt') });
  });

  it('includes roots that are trusted without being configured', async () => {
    const { certificates } = await take();
    const builtIn = certificates.filter(({ where }) => where === 'built in').map(({ what }) => what);
    expect(new Set(builtIn)).toEqual(
      new Set(['root of attestations (apple)', 'root of attestations (android-key)', 'root of FIDO metadata']),
    );
  });

  it('says how many certificates a list revokes', async () => {
    const pki = new Pki(path('pki'));
    await pki.revoke(await pki.issue());
    const { revocationLists } = await take();
    expect(revocationLists).toMatchObject([
      { where: path('pki/ca.crl'), holds: '1 revoked', signature: 'ECDSA with SHA-256' },
    ]);
    expect([396, 397]).toContain(revocationLists[0]?.daysLeft);
  });
});

describe('the inventory of the database', () => {
  it('shows the requested and the actual encryption, without the password', async () => {
    const { database } = await take({ DATABASE_URL });
    expect(database).toEqual({
      server: '127.0.0.1:1/passkeys',
      role: 'service',
      settings: 'sslmode=verify-full',
      agreed: 'no connection: ECONNREFUSED',
    });
  });

  it('says whether a connection is encrypted when the database answers', async () => {
    const { database } = await take({ DATABASE_URL: process.env['PASSKEY_TEST_DATABASE_URL'] });
    expect(database).toMatchObject({ settings: 'none: TLS is not requested', agreed: 'no TLS' });
  });
});

describe('an inventory', () => {
  it('contains no secret, as JSON or as a table', async () => {
    const inventory = await take({ DATABASE_URL });
    const told = JSON.stringify(inventory) + formatInventory(inventory);
    const names = (await readdir(directory, { recursive: true })).filter((name) => name.endsWith('.key'));
    const contents = await Promise.all(names.map((name) => readFile(path(name), 'utf8')));
    const secrets = contents.flatMap((pem) => pem.split('\n')).filter((line) => line !== '' && !line.includes('-----'));
    expect(secrets.length).toBeGreaterThan(10);
    for (const secret of [...secrets, PASSPHRASE, 's3cr3t-w0rd']) {
      expect(told).not.toContain(secret);
      expect(told).not.toContain(Buffer.from(secret, 'base64').toString('hex'));
    }
  });

  it('reports what cannot be read, and lists everything else', async () => {
    await writeFile(path('no.key'), 'no key');
    await writeFile(path('no.crl'), 'no list');
    const inventory = await take({ PASSKEY_AUDIT_KEY_FILE: path('no.key'), PASSKEY_TLS_CRL_FILE: path('no.crl') });
    expect(inventory).toMatchObject({
      faults: [
        'PASSKEY_TLS_CRL_FILE: holds no revocation list (PEM)',
        'PASSKEY_AUDIT_KEY_FILE: holds no private key in PEM',
      ],
      revocationLists: [],
    });
    expect(inventory.listener).toBeUndefined();
    expect(inventory.keys).toHaveLength(9);
    expect(formatInventory(inventory)).toMatch(/\n\nFaults\n======\ncould not be read\nPASSKEY_TLS_CRL_FILE/);
  });

  it('fits a terminal of 80 columns, but for values without a space', async () => {
    const lines = formatInventory(await take({ DATABASE_URL })).split('\n');
    expect(lines.length).toBeGreaterThan(100);
    const long = lines.filter((line) => line.length > 80);
    expect(long.filter((line) => line.trim().includes(' '))).toEqual([]);
    expect(long.filter((line) => !line.trim().startsWith(directory))).toEqual([]);
  });

  it('says of a certificate that has ended, such as an old built-in root, that it has', async () => {
    const inventory = await takeInventory(
      readConfig({ PASSKEY_DATA_DIR: directory }),
      new Date('2055-06-01T12:00:00Z'),
    );
    const ended = inventory.certificates.filter(({ daysLeft }) => daysLeft < 0);
    expect(ended.map(({ where }) => where)).toContain('built in');
    const text = formatInventory(inventory);
    for (const { daysLeft } of ended) expect(text).toContain(`none, ended ${String(-daysLeft)} days ago`);
    expect(formatInventory(await take())).toMatch(/days left +\d+\n/);
  });

  it('names source files that exist', async () => {
    const { webauthn } = await take();
    for (const { where } of webauthn) expect([where, existsSync(where)]).toEqual([where, true]);
  });

  it('names the files that compute what it lists', async () => {
    const { service } = await take();
    const byJose: Record<string, RegExp> = {
      RS256: /'rsa'\) return 'RS256'/,
      PS256: /'rsa-pss' \? 'PS256'/,
      ES256: /'prime256v1' \? 'ES256'/,
      Ed25519: /'ed25519'\) return 'Ed25519'/,
      'SHA-256': /\bcalculateJwkThumbprint\(/,
    };
    const calls: [algorithm: RegExp, code: RegExp][] = [
      [/^random/, /\brandomFillSync\(/],
      [/^AES-256-GCM/, /\bcreateCipheriv\('aes-256-gcm'/],
      [/^HMAC-SHA-256/, /\bcomputeHmac\(/],
      [/^HKDF-SHA-256/, /\bhkdfSync\('sha256'/],
      [/^SHA-256/, /\b(?:createHash|hash)\('sha256'/],
      [/^(?:Ed25519|ML-DSA-44)/, /\bsign\(null,/],
      [/^RS256 or ES256/, /\bverify\('sha256',/],
    ];
    for (const { algorithm, where } of service) {
      const jose = where.startsWith('src/signing-keys/') ? byJose[algorithm] : undefined;
      const code = jose ?? calls.find(([name]) => name.test(algorithm))?.[1] ?? algorithm;
      expect(await readFile(where, 'utf8')).toMatch(code);
    }
  });
});
