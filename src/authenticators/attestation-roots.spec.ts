import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createAttestationAuthority } from '../../test/support/authenticator/attestation-authority.js';
import { FakeAudit } from '../../test/support/fake-audit.js';
import { ConfigError, readConfig } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { WELL_KNOWN_ROOTS } from '../webauthn/well-known-roots.js';
import { AttestationRoots } from './attestation-roots.js';

const NAME_ONE = 'CN=One Root, O=One, C=XX';
const NAME_TWO = 'CN=Two Root, O=Two, C=XX';

let [one, two] = ['', ''];
let directory: string;
let file: string;
let audit: FakeAudit;
let metrics: Metrics;
Logger.overrideLogger(false);

beforeAll(async () => {
  [one, two] = [(await createAttestationAuthority('One')).rootPem, (await createAttestationAuthority('Two')).rootPem];
});
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-roots-'));
  file = join(directory, 'roots.pem');
  [audit, metrics] = [new FakeAudit(), new Metrics()];
});
afterEach(() => rm(directory, { recursive: true }));

async function openRoots(attestationRootsFile: string | undefined = file): Promise<AttestationRoots> {
  const roots = new AttestationRoots({ attestationRootsFile }, metrics, audit.service);
  await roots.onModuleInit();
  return roots;
}
async function openRootsHolding(bundle: string): Promise<AttestationRoots> {
  await writeFile(file, bundle);
  return openRoots();
}
/** The service reads a file twice before it reports that it cannot use it. */
async function changeFile(roots: AttestationRoots, bundle: string): Promise<void> {
  await writeFile(file, bundle);
  await roots.reload();
  await roots.reload();
}

describe('PASSKEY_ATTESTATION_ROOTS_FILE', () => {
  it('is a bundle of certificates, with any text between', async () => {
    const roots = await openRootsHolding(`# Makers\n${one}\r\n\nTwo:\n${two}\n`);
    expect(roots.listRoots('packed')).toEqual([one, two].map((pem) => pem.trim()));
  });

  it('adds to the well-known roots', async () => {
    expect((await openRootsHolding(one)).listRoots('apple')).toEqual([...WELL_KNOWN_ROOTS['apple']!, one.trim()]);
  });

  it('may be missing, and then only the well-known roots are trusted', async () => {
    const roots = new AttestationRoots({ attestationRootsFile: undefined }, metrics, audit.service);
    await roots.onModuleInit();
    await roots.reload();
    expect([roots.listRoots('apple'), roots.listRoots('packed'), roots.describeState()]).toEqual([
      WELL_KNOWN_ROOTS['apple'],
      [],
      undefined,
    ]);
  });

  it.each<[string, () => string, string]>([
    ['is empty', () => '', 'has no certificate in PEM'],
    ['has no certificate', () => 'no certificate', 'has no certificate in PEM'],
    [
      'has a certificate cut short',
      () => `${two}${one.slice(0, -60)}`,
      'has a PEM block that is not a whole certificate',
    ],
    [
      'has one that cannot be parsed',
      () => `${one}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
      'cannot be used: its certificate 2 cannot be read',
    ],
    [
      'has a private key',
      () => `${one}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`,
      'has a PEM block that is not a whole certificate',
    ],
  ])('stops the boot when it %s, and says so', async (_, bundle, message) => {
    await expect(openRootsHolding(bundle())).rejects.toThrow(ConfigError);
    await expect(openRootsHolding(bundle())).rejects.toThrow(`PASSKEY_ATTESTATION_ROOTS_FILE: "${file}" ${message}`);
  });

  it('stops the boot when it cannot be read', async () => {
    expect(() => readConfig({ PASSKEY_ATTESTATION_ROOTS_FILE: file })).toThrow('PASSKEY_ATTESTATION_ROOTS_FILE');
    await expect(openRoots(directory)).rejects.toThrow(ConfigError);
  });

  describe('that changes while the service runs', () => {
    const readReloads = async () => (await metrics.reloads.get()).values;

    it.each<[string, () => Promise<void>]>([
      ['in place', () => writeFile(file, two)],
      ['by a rename over it', () => writeFile(`${file}.new`, two).then(() => rename(`${file}.new`, file))],
    ])('is loaded when it changes %s: roots are added and removed, and the audit log records it', async (_, change) => {
      const roots = await openRootsHolding(one);
      await change();
      await roots.reload();
      expect(roots.listRoots('packed')).toEqual([two.trim()]);
      const facts = { added: [NAME_TWO], removed: [NAME_ONE], digest: roots.describeState()?.digest };
      expect(audit.entries).toMatchObject([{ type: 'attestation-roots.reload', outcome: 'success', facts }]);
      expect(await readReloads()).toEqual([
        { labels: { resource: 'attestation-roots', outcome: 'success' }, value: 1 },
      ]);
    });

    it.each<[string, () => Promise<void>, string]>([
      [
        'one bad entry among good ones',
        () => writeFile(file, `${one}${two}${one.replace(/[A-Za-z]{8}/g, 'AAAAAAAA')}`),
        '',
      ],
      ['half a file', () => writeFile(file, `${two}${one.slice(0, 200)}`), 'not a whole certificate'],
      ['nothing', () => writeFile(file, ''), 'has no certificate'],
      ['no file', () => rm(file), 'ENOENT'],
      ['a directory', () => rm(file).then(() => mkdir(file)), 'is not a file'],
      ['more than 4 MiB', () => writeFile(file, Buffer.alloc(4 * 2 ** 20 + 1, 0x20)), 'is larger than'],
    ])(
      'is refused as a whole when it changes to %s: the current roots stay, and the refusal is reported',
      async (_, change, refused) => {
        const roots = await openRootsHolding(one);
        await change();
        await roots.reload();
        await roots.reload();
        expect([roots.listRoots('packed'), roots.describeState()?.refused]).toEqual([
          [one.trim()],
          expect.stringContaining(refused),
        ]);
        const detail = expect.stringContaining(refused);
        expect(audit.entries).toMatchObject([{ type: 'attestation-roots.reload', outcome: 'failure', detail }]);
        expect(await readReloads()).toEqual([
          { labels: { resource: 'attestation-roots', outcome: 'failure' }, value: 1 },
        ]);
      },
    );

    it('is not reported when it has the same certificates', async () => {
      const roots = await openRootsHolding(one);
      await changeFile(roots, one);
      expect([roots.listRoots('packed'), audit.entries]).toEqual([[one.trim()], []]);
    });

    it('clears the refusal when a refused file becomes usable', async () => {
      const roots = await openRootsHolding(one);
      await changeFile(roots, 'nothing');
      await changeFile(roots, two);
      expect([roots.listRoots('packed'), roots.describeState()?.refused]).toEqual([[two.trim()], undefined]);
    });
  });
});

describe('passkey_attestations_total', () => {
  it('counts attestations by root, and by why they are untrusted', async () => {
    const roots = await openRootsHolding(one);
    roots.countAttestation({ format: 'packed', trust: 'trusted', root: NAME_ONE });
    roots.countAttestation({
      format: 'android-key',
      trust: 'untrusted',
      distrust: { code: 'root-unknown', detail: 'text' },
    });
    roots.countAttestation({ format: 'none', trust: 'none' });
    expect((await metrics.attestations.get()).values).toEqual([
      { labels: { format: 'packed', trust: 'trusted', root: NAME_ONE, reason: '' }, value: 1 },
      { labels: { format: 'android-key', trust: 'untrusted', root: '', reason: 'root-unknown' }, value: 1 },
      { labels: { format: 'none', trust: 'none', root: '', reason: '' }, value: 1 },
    ]);
  });
});
