import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { readConfig } from '../../src/config/config.js';
import { SERVICE_ALGORITHMS } from '../inventory/algorithms.js';
import { type Inventory, takeInventory } from '../inventory/inventory.js';
import { classifyAlgorithm } from './crypto-algorithms.js';
import { describeCryptography } from './crypto-bom.js';
import { validateBom } from './cyclonedx.js';
import type { Part, Sources } from './part.js';

interface Component {
  readonly name: string;
  readonly 'bom-ref': string;
  readonly cryptoProperties: Record<string, Record<string, unknown> | string>;
}

const NOW = new Date();
let directory: string;
let inventory: Inventory;
let part: Part;
let components: readonly Component[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'crypto-bom-'));
  await prepareDevelopment(directory);
  const config = readConfig({ PASSKEY_DATA_DIR: directory });
  inventory = await takeInventory(config, NOW);
  part = describeCryptography({ config, inventory, policy: undefined, version: '0.1.0', now: NOW } satisfies Sources);
  ({ components } = part.content as { components: readonly Component[] });
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const find = (assetType: string): readonly Component[] =>
  components.filter(({ cryptoProperties }) => cryptoProperties['assetType'] === assetType);

describe('the bill of cryptography', () => {
  it('conforms to the schema of CycloneDX', () => {
    expect(part.faults).toEqual([]);
    expect(
      validateBom({ ...(part.content as object), components: [{ ...components[0], cryptoProperties: {} }] }),
    ).toEqual(["/components/0/cryptoProperties must have required property 'assetType'"]);
  });

  it('has each algorithm of the inventory once, and knows what each is', () => {
    const names = find('algorithm').map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const used = [
      ...SERVICE_ALGORITHMS.map(({ algorithm }) => algorithm),
      ...inventory.webauthn.map(({ algorithm }) => algorithm),
      ...(inventory.listener?.cipherSuites ?? []).map(({ name }) => name),
      ...(inventory.listener?.keyExchange ?? []).map(({ name }) => name),
      ...(inventory.listener?.signatures ?? []).map(({ name }) => name),
    ];
    expect(names).toEqual(expect.arrayContaining(used));
    expect(names.filter((name) => classifyAlgorithm(name).primitive === 'other')).toEqual([]);
  });

  it.each([
    ['X25519MLKEM768', 'combiner', 3],
    ['ML-DSA-44', 'signature', 2],
    ['TLS_AES_128_GCM_SHA256', 'ae', 1],
    ['TLS_CHACHA20_POLY1305_SHA256', 'ae', 5],
    ['ES256', 'signature', 0],
    ['X25519', 'key-agree', 0],
    ['HMAC-SHA-256', 'mac', 2],
  ])('says of %s that it is a %s of the quantum security category %i', (name, primitive, level) => {
    expect(classifyAlgorithm(name)).toMatchObject({ primitive, nistQuantumSecurityLevel: level });
  });

  it('rates no algorithm above 0 that the inventory says a quantum computer breaks', () => {
    const broken = [...inventory.service, ...inventory.webauthn].filter(({ postQuantum }) => postQuantum === 'no');
    expect(broken.length).toBeGreaterThan(5);
    expect(broken.filter(({ algorithm }) => classifyAlgorithm(algorithm).nistQuantumSecurityLevel !== 0)).toEqual([]);
  });

  it('asks about quantum computers by kind, the most urgent first, and says what is done already', () => {
    expect(part.open).toEqual([
      'Key agreement: a quantum computer breaks P-256, P-384, X25519; in use already, with each caller that can: X25519MLKEM768. Say until when callers need the others (12.3.3).',
      expect.stringMatching(
        /^Signatures in use now: a quantum computer breaks .*\bEd25519\b.*; in use already, beside them in the audit log: ML-DSA-44\. /,
      ),
      expect.stringMatching(
        /^Signatures of passkeys: .*\bES256\b.*; accepted already: ML-DSA-44, ML-DSA-65, ML-DSA-87\. /,
      ),
      expect.stringMatching(/^Signatures that callers may use in the handshake: .*\bECDSA\+SHA256\b.*ML-DSA-65/),
    ]);
  });

  it('says that no key withstands a quantum computer where the audit log has none that does', () => {
    const keys = inventory.keys.filter(({ algorithm }) => algorithm !== 'ML-DSA-44');
    const { open } = describeCryptography({
      inventory: { ...inventory, keys },
      version: '0.1.0',
      now: NOW,
    } as unknown as Sources);
    expect(open).toContainEqual(
      expect.stringMatching(/^Signatures in use now: .*; no key of another algorithm is there yet\. /),
    );
  });

  it('has the protocol, each certificate and each key, which refer to algorithms that are there', () => {
    expect(find('protocol').map(({ name }) => name)).toEqual(['TLS 1.3, for callers']);
    const certificates = new Set(inventory.certificates.map(({ fingerprint }) => fingerprint));
    expect(find('certificate')).toHaveLength(certificates.size);
    expect(find('related-crypto-material').length).toBeGreaterThan(8);
    const references = [...JSON.stringify(components).matchAll(/"(?:algorithmRef|signatureAlgorithmRef)":"([^"]+)"/g)];
    const there = new Set(components.map((component) => component['bom-ref']));
    expect(references.length).toBeGreaterThan(10);
    expect(references.map(([, reference = '']) => reference).filter((reference) => !there.has(reference))).toEqual([]);
  });
});
