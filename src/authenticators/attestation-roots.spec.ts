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

async function opened(attestationRootsFile: string | undefined = file): Promise<AttestationRoots> {
  const roots = new AttestationRoots({ attestationRootsFile }, metrics, audit.service);
  await roots.onModuleInit();
  return roots;
}
async function holding(bundle: string): Promise<AttestationRoots> {
  await writeFile(file, bundle);
  return opened();
}
/** The service reads a file twice before it reports that it cannot use it. */
async function changedTo(roots: AttestationRoots, bundle: string): Promise<void> {
  await writeFile(file, bundle);
  await roots.refresh();
  await roots.refresh();
}

describe('PASSKEY_ATTESTATION_ROOTS_FILE', () => {
  it('is a bundle of certificates, with any text between', async () => {
    const roots = await holding(`# Makers\n${one}\r\n\nTwo:\n${two}\n`);
    expect(roots.of('packed')).toEqual([one, two].map((pem) => pem.trim()));
  });

  it('adds to the well-known roots', async () => {
    expect((await holding(one)).of('apple')).toEqual([...WELL_KNOWN_ROOTS['apple']!, one.trim()]);
  });

  it('need not be there: then the well-known roots are in force', async () => {
    const roots = new AttestationRoots({ attestationRootsFile: undefined }, metrics, audit.service);
    await roots.onModuleInit();
    await roots.refresh();
    expect([roots.of('apple'), roots.of('packed'), roots.state()]).toEqual([WELL_KNOWN_ROOTS['apple'], [], undefined]);
  });

  it.each<[string, () => string, string]>([
    ['is empty', () => '', 'has no certificate in PEM'],
    ['has no certificate', () => 'no certificate', 'has no certificate in PEM'],
    ['has a certificate cut short', () => `${two}${one.slice(0, -60)}`, 'has a PEM block that is not a whole certificate'],
    ['has one that is none', () => `${one}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, 'cannot be used: its certificate 2 cannot be read'],
    ['has a private key', () => `${one}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`, 'has a PEM block that is not a whole certificate'],
  ])('stops the boot when it %s, and says so', async (_, bundle, message) => {
    await expect(holding(bundle())).rejects.toThrow(ConfigError);
    await expect(holding(bundle())).rejects.toThrow(`PASSKEY_ATTESTATION_ROOTS_FILE: "${file}" ${message}`);
  }); // prettier-ignore

  it('stops the boot when it cannot be read', async () => {
    expect(() => readConfig({ PASSKEY_ATTESTATION_ROOTS_FILE: file })).toThrow('PASSKEY_ATTESTATION_ROOTS_FILE');
    await expect(opened(directory)).rejects.toThrow(ConfigError);
  });

  describe('that changes while the service runs', () => {
    const reloads = async () => (await metrics.reloads.get()).values;

    it.each<[string, () => Promise<void>]>([
      ['in place', () => writeFile(file, two)],
      ['by a rename over it', () => writeFile(`${file}.new`, two).then(() => rename(`${file}.new`, file))],
    ])('%s is taken: roots are added and removed, which the audit log has', async (_, change) => {
      const roots = await holding(one);
      await change();
      await roots.refresh();
      expect(roots.of('packed')).toEqual([two.trim()]);
      const facts = { added: [NAME_TWO], removed: [NAME_ONE], digest: roots.state()?.digest };
      expect(audit.entries).toMatchObject([{ type: 'attestation-roots.reload', outcome: 'success', facts }]);
      expect(await reloads()).toEqual([{ labels: { what: 'attestation-roots', outcome: 'success' }, value: 1 }]);
    });

    it.each<[string, () => Promise<void>, string]>([
      ['one bad entry among good ones', () => writeFile(file, `${one}${two}${one.replace(/[A-Za-z]{8}/g, 'AAAAAAAA')}`), ''],
      ['half a file', () => writeFile(file, `${two}${one.slice(0, 200)}`), 'not a whole certificate'],
      ['nothing', () => writeFile(file, ''), 'has no certificate'],
      ['no file', () => rm(file), 'ENOENT'],
      ['a directory', () => rm(file).then(() => mkdir(file)), 'is not a file'],
      ['more than 4 MiB', () => writeFile(file, Buffer.alloc(4 * 2 ** 20 + 1, 0x20)), 'is larger than'],
    ])('to %s is refused whole: the roots in force stay, and it is reported', async (_, change, refused) => {
      const roots = await holding(one);
      await change();
      await roots.refresh();
      await roots.refresh();
      expect([roots.of('packed'), roots.state()?.refused]).toEqual([[one.trim()], expect.stringContaining(refused)]);
      const detail = expect.stringContaining(refused);
      expect(audit.entries).toMatchObject([{ type: 'attestation-roots.reload', outcome: 'failure', detail }]);
      expect(await reloads()).toEqual([{ labels: { what: 'attestation-roots', outcome: 'failure' }, value: 1 }]);
    }); // prettier-ignore

    it('to the same certificates is nothing new', async () => {
      const roots = await holding(one);
      await changedTo(roots, one);
      expect([roots.of('packed'), audit.entries]).toEqual([[one.trim()], []]);
    });

    it('from a refused file to a whole one clears the refusal', async () => {
      const roots = await holding(one);
      await changedTo(roots, 'nothing');
      await changedTo(roots, two);
      expect([roots.of('packed'), roots.state()?.refused]).toEqual([[two.trim()], undefined]);
    });
  });
});

describe('passkey_attestations_total', () => {
  it('counts attestations by root, and by why they are untrusted', async () => {
    const roots = await holding(one);
    roots.count({ format: 'packed', trust: 'trusted', root: NAME_ONE });
    roots.count({ format: 'android-key', trust: 'untrusted', distrust: { code: 'root-unknown', detail: 'text' } });
    roots.count({ format: 'none', trust: 'none' });
    expect((await metrics.attestations.get()).values).toEqual([
      { labels: { format: 'packed', trust: 'trusted', root: NAME_ONE, cause: '' }, value: 1 },
      { labels: { format: 'android-key', trust: 'untrusted', root: '', cause: 'root-unknown' }, value: 1 },
      { labels: { format: 'none', trust: 'none', root: '', cause: '' }, value: 1 },
    ]);
  });
});
