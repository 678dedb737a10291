import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAttestationAuthority } from '../../test/support/authenticator/attestation-authority.js';
import { ConfigError, readConfig } from '../config/config.js';
import { WELL_KNOWN_ROOTS } from '../webauthn/well-known-roots.js';
import { AttestationRoots } from './attestation-roots.js';

const directory = mkdtempSync(join(tmpdir(), 'passkey-roots-'));
const file = join(directory, 'roots.pem');
let [one, two] = ['', ''];

beforeAll(async () => {
  [one, two] = [(await createAttestationAuthority('One')).rootPem, (await createAttestationAuthority('Two')).rootPem];
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function rootsOf(bundle: string): AttestationRoots {
  writeFileSync(file, bundle);
  return new AttestationRoots(readConfig({ PASSKEY_ATTESTATION_ROOTS_FILE: file }));
}

describe('PASSKEY_ATTESTATION_ROOTS_FILE', () => {
  it('is a bundle of certificates, with any text between', () => {
    expect(rootsOf(`# Makers\n${one}\r\n\nTwo:\n${two}\n`).of('packed')).toEqual([one, two].map((pem) => pem.trim()));
  });

  it('adds to the well-known roots', () => {
    expect(rootsOf(one).of('apple')).toEqual([...WELL_KNOWN_ROOTS['apple']!, one.trim()]);
    expect(new AttestationRoots(readConfig({})).of('apple')).toEqual(WELL_KNOWN_ROOTS['apple']);
    expect(new AttestationRoots(readConfig({})).of('packed')).toEqual([]);
  });

  it.each<[string, () => string]>([
    ['is empty', () => ''],
    ['has no certificate', () => 'no certificate'],
    ['has a certificate cut short', () => one.slice(0, -60)],
    ['has one that is none', () => `${one}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`],
    ['has a private key', () => `${one}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`],
  ])('stops the boot, and is named, when it %s', (_, bundle) => {
    expect(() => rootsOf(bundle())).toThrow(ConfigError);
    expect(() => rootsOf(bundle())).toThrow('PASSKEY_ATTESTATION_ROOTS_FILE');
  });

  it('stops the boot when it cannot be read', () => {
    const missing = { PASSKEY_ATTESTATION_ROOTS_FILE: join(directory, 'missing.pem') };
    expect(() => readConfig(missing)).toThrow('PASSKEY_ATTESTATION_ROOTS_FILE');
    expect(() => new AttestationRoots({ ...readConfig({}), attestationRootsFile: directory })).toThrow(ConfigError);
  });
});
