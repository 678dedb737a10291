import 'reflect-metadata';
import { createPrivateKey, webcrypto, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parseSvid } from '../src/x509/svid.js';
import { readConfig } from '../src/config/config.js';
import { copyServiceFiles, prepareDevelopment } from './prepare-development.js';
import { readSecretKeys } from '../src/config/secret-keys.js';

const IDENTITIES = ['auth-service', 'operator', 'auditor', 'stranger'];
const LEAVES = ['server', ...IDENTITIES];
const FILES = [
  'access-policy.yaml',
  'audit.key',
  'binding.key',
  'pki/ca.crl',
  'pki/ca.crt',
  'pki/ca.key',
  'receipt.key',
  'signal.key',
  ...LEAVES.flatMap((name) => [`pki/${name}.crt`, `pki/${name}.key`]),
].sort();
const DAY_MS = 86_400_000;
const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

let directory: string;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  await prepareDevelopment(directory);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const path = (name: string): string => join(directory, name);
const certificate = (name: string): X509Certificate => new X509Certificate(readFileSync(path(`pki/${name}.crt`)));

/** Reads every file, by name. */
function readContents(): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1)).sort();
  return Object.fromEntries(paths.map((name) => [name, readFileSync(path(name), 'utf8')]));
}

/** Lists the files that another start changes. */
async function listChangesOfStart(): Promise<string[]> {
  const before = readContents();
  await prepareDevelopment(directory);
  const after = readContents();
  return Object.keys({ ...before, ...after })
    .filter((name) => before[name] !== after[name])
    .sort();
}

/** Checks what a handshake needs: every key fits its certificate, and the CA signed the certificates and the CRL. */
async function expectUsablePki(): Promise<void> {
  const ca = certificate('ca');
  expect(ca.verify(ca.publicKey)).toBe(true);
  for (const name of ['ca', ...LEAVES]) {
    const leaf = certificate(name);
    expect(leaf.checkPrivateKey(createPrivateKey(readFileSync(path(`pki/${name}.key`))))).toBe(true);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
  }
  const list = new x509.X509Crl(readFileSync(path('pki/ca.crl'), 'utf8'));
  expect(
    await list.verify({ publicKey: new x509.X509Certificate(readFileSync(path('pki/ca.crt'), 'utf8')).publicKey }),
  ).toBe(true);
}

/** Replaces a certificate by one for the same key that expires after this many days. */
async function shorten(name: string, days: number): Promise<void> {
  x509.cryptoProvider.set(webcrypto);
  const der = x509.PemConverter.decodeFirst(readFileSync(path('pki/ca.key'), 'utf8'));
  const old = new x509.X509Certificate(readFileSync(path(`pki/${name}.crt`), 'utf8'));
  const shorter = await x509.X509CertificateGenerator.create({
    subject: old.subject,
    issuer: old.issuer,
    publicKey: old.publicKey,
    signingAlgorithm: ES256,
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, ES256, false, ['sign']),
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
    extensions: old.extensions,
  });
  writeFileSync(path(`pki/${name}.crt`), shorter.toString('pem'));
}

describe('the directory of a service', () => {
  it('gets the prepared files that it reads, and no private key of the CA or of a caller', () => {
    const service = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
    try {
      for (let times = 0; times < 2; times += 1) copyServiceFiles(directory, service);
      const names = readdirSync(service, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(service.length + 1));
      const expected = [
        'access-policy.yaml',
        'audit.key',
        'binding.key',
        'pki/ca.crl',
        'pki/ca.crt',
        'pki/server.crt',
        'pki/server.key',
        'receipt.key',
        'signal.key',
      ];
      expect(names.sort()).toEqual(expected);
      for (const name of expected) {
        expect([name, readFileSync(join(service, name), 'utf8')]).toEqual([name, readContents()[name]]);
        expect(statSync(join(service, name)).mode).toBe(statSync(path(name)).mode);
      }
    } finally {
      rmSync(service, { recursive: true });
    }
  });
});

describe('the first start of a development machine', () => {
  it('makes these files', async () => {
    expect(Object.keys(readContents())).toEqual(FILES);
    await expectUsablePki();
  });

  it('lets no other user read a key', () => {
    for (const name of FILES.filter((file) => file.endsWith('.key'))) {
      expect([name, statSync(path(name)).mode & 0o777]).toEqual([name, 0o600]);
    }
  });

  it('makes the files that the configuration expects', () => {
    const config = readConfig({ PASSKEY_DATA_DIR: directory });
    expect(Object.keys(readContents())).toEqual(expect.arrayContaining(['pki/server.crt', 'pki/ca.crl', 'audit.key']));
    expect(readSecretKeys(config).seals).toHaveLength(1);
    const files = (Object.values(config.tls) as (string | undefined)[]).filter((file) => file !== undefined);
    expect(files).toHaveLength(4);
    for (const file of files) expect(statSync(file).isFile()).toBe(true);
  });

  it.each(IDENTITIES)('gives %s a SPIFFE ID and no other name', (name) => {
    const leaf = certificate(name);
    const id = `spiffe://passkey-manager.local/${name}`;
    expect(parseSvid(leaf.raw, 'passkey-manager.local').spiffeId).toBe(id);
    expect([leaf.subject, leaf.subjectAltName, leaf.keyUsage]).toEqual([
      `CN=${name}`,
      `URI:${id}`,
      ['1.3.6.1.5.5.7.3.2'],
    ]);
  });

  it('gives the server the names of this machine', () => {
    const server = certificate('server');
    expect(server.checkHost('localhost')).toBe('localhost');
    expect(server.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(server.checkIP('::1')).toBeDefined();
    expect(server.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
  });

  it('has one authority, which signs certificates and revocation lists', () => {
    const ca = new x509.X509Certificate(readFileSync(path('pki/ca.crt'), 'utf8'));
    const { ca: isCa, pathLength, critical } = ca.getExtension(x509.BasicConstraintsExtension)!;
    expect([isCa, pathLength, critical]).toEqual([true, 0, true]);
    const usage = ca.getExtension(x509.KeyUsagesExtension)!;
    expect([usage.usages, usage.critical]).toEqual([x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true]);
  });

  it('makes certificates that are valid from now, for somewhat more than a year', () => {
    for (const name of ['ca', ...LEAVES]) {
      expect(certificate(name).validFromDate.getTime()).toBeLessThanOrEqual(Date.now());
      const days = (certificate(name).validToDate.getTime() - Date.now()) / DAY_MS;
      expect(Math.round(days)).toBe(name === 'ca' ? 3_650 : 397);
    }
    const { thisUpdate, nextUpdate } = new x509.X509Crl(readFileSync(path('pki/ca.crl'), 'utf8'));
    expect(thisUpdate.getTime()).toBeLessThanOrEqual(Date.now());
    expect(nextUpdate!.getTime()).toBeGreaterThan(Date.now() + 390 * DAY_MS);
  });

  it('gives serial numbers that are positive and unpredictable (RFC 5280 §4.1.2.2)', () => {
    const serials = ['ca', ...LEAVES].map((name) => certificate(name).serialNumber);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
    expect(new Set(serials.map((serial) => serial.slice(2, 10))).size).toBe(serials.length);
  });

  it('gives each certificate its own key and serial number, here and on the next machine', async () => {
    const other = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
    await prepareDevelopment(other);
    const secrets = [directory, other].flatMap((at) =>
      FILES.filter((file) => file.endsWith('.key')).map((file) => readFileSync(join(at, file), 'utf8')),
    );
    rmSync(other, { recursive: true });
    expect(new Set(secrets).size).toBe(secrets.length);
    expect(new Set(['ca', ...LEAVES].map((name) => certificate(name).serialNumber)).size).toBe(LEAVES.length + 1);
  });
});

describe('a further start', () => {
  it('reuses every file unchanged', async () => {
    expect(await listChangesOfStart()).toEqual([]);
  });

  it.each(['pki/server.crt', 'pki/server.key', 'pki/auth-service.crt', 'pki/stranger.key'])(
    'makes the certificate and the key again when %s is gone',
    async (name) => {
      rmSync(path(name));
      const pair = name.replace(/\.(crt|key)$/, '');
      expect(await listChangesOfStart()).toEqual([`${pair}.crt`, `${pair}.key`]);
      await expectUsablePki();
    },
  );

  it.each(['pki/ca.crl', 'access-policy.yaml', 'audit.key', 'binding.key', 'receipt.key', 'signal.key'])(
    'makes %s again when it is gone',
    async (name) => {
      rmSync(path(name));
      expect(await listChangesOfStart()).toEqual([name]);
      await expectUsablePki();
    },
  );

  it.each(['pki/ca.crt', 'pki/ca.key'])('makes the whole PKI again when %s is gone, and no data key', async (name) => {
    rmSync(path(name));
    expect(await listChangesOfStart()).toEqual(FILES.filter((file) => file.startsWith('pki/')));
    await expectUsablePki();
  });

  it.each(['server', 'operator'])('renews the certificate of %s in its last 30 days', async (name) => {
    await shorten(name, 31);
    expect(await listChangesOfStart()).toEqual([]);
    await shorten(name, 29);
    expect(await listChangesOfStart()).toEqual([`pki/${name}.crt`, `pki/${name}.key`]);
    expect(certificate(name).validToDate.getTime()).toBeGreaterThan(Date.now() + 390 * DAY_MS);
    await expectUsablePki();
  });

  it.each([
    [31, []],
    [29, ['pki/ca.crl']],
  ])('renews a revocation list with %i days to live: %j', async (days, renewed) => {
    x509.cryptoProvider.set(webcrypto);
    const der = x509.PemConverter.decodeFirst(readFileSync(path('pki/ca.key'), 'utf8'));
    const list = await x509.X509CrlGenerator.create({
      issuer: new x509.X509Certificate(readFileSync(path('pki/ca.crt'), 'utf8')).subject,
      nextUpdate: new Date(Date.now() + days * DAY_MS),
      signingAlgorithm: ES256,
      signingKey: await webcrypto.subtle.importKey('pkcs8', der, ES256, false, ['sign']),
    });
    writeFileSync(path('pki/ca.crl'), x509.PemConverter.encode(list.rawData, 'X509 CRL'));
    expect(await listChangesOfStart()).toEqual(renewed);
    await expectUsablePki();
  });

  it('renews everything that expired long ago', async () => {
    await shorten('server', -0.5);
    expect(await listChangesOfStart()).toEqual(['pki/server.crt', 'pki/server.key']);
    await expectUsablePki();
  });

  it('renews the authority together with all that it signed', async () => {
    await shorten('ca', 29);
    expect(await listChangesOfStart()).toEqual(FILES.filter((file) => file.startsWith('pki/')));
    await expectUsablePki();
  });

  it('keeps what a person has changed', async () => {
    writeFileSync(path('access-policy.yaml'), 'version: 1\n');
    await prepareDevelopment(directory);
    expect(readFileSync(path('access-policy.yaml'), 'utf8')).toBe('version: 1\n');
  });
});

describe('a start that was killed', () => {
  it.each(['ca', 'server', 'auditor'])(
    'after it wrote a key for %s leaves nothing that does not match',
    async (name) => {
      rmSync(path(`pki/${name}.crt`));
      writeFileSync(path(`pki/${name}.key`), readFileSync(path('pki/operator.key')));
      await prepareDevelopment(directory);
      await expectUsablePki();
    },
  );

  it('in the middle of a file is not hindered by its remains', async () => {
    rmSync(path('pki/server.crt'));
    writeFileSync(path('pki/server.crt.new'), 'half');
    await prepareDevelopment(directory);
    await expectUsablePki();
  });
});
