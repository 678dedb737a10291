import { readFileSync } from 'node:fs';
import { parseAccessPolicy } from '../../src/access/access-policy.js';
import type { Config, TlsFiles } from '../../src/config/config.js';
import { fillInTrustDomain } from '../../src/config/tls-files.js';
import { readTrustMaterial } from '../../src/identity/trust-material.js';
import { ALGORITHMS } from '../../src/webauthn/cose.js';
import { FIDO_METADATA_ROOTS, WELL_KNOWN_ROOTS } from '../../src/webauthn/well-known-roots.js';
import { describeCertificates, describeRevocationLists, type Signed } from './certificates.js';
import { describeDatabase, type DatabaseConnection } from './database.js';
import {
  describeAuditKeys,
  describeBindingKeys,
  describeChallengeKeys,
  describeReceiptKeys,
  describeSignalKeys,
  type HeldKey,
  describeServerKeys,
} from './keys.js';
import { type ListenerOffers, probeOffers } from './listener.js';
import { classifyPostQuantum, type PostQuantum, SERVICE_ALGORITHMS } from './algorithms.js';

export interface Use {
  readonly what: string;
  readonly algorithm: string;
  readonly where: string;
  readonly postQuantum: PostQuantum;
}

/** Every algorithm, protocol, key and certificate of a running configuration (PCI DSS 4.0.1, 12.3.3 and 4.2.1.1). */
export interface Inventory {
  readonly time: string;
  readonly software: Readonly<Record<string, string>>;
  /** The offers of the listener for callers; undefined if its files cannot be used. */
  readonly listener: ListenerOffers | undefined;
  readonly database: DatabaseConnection;
  readonly webauthn: readonly (Use & { readonly cose: number })[];
  readonly service: readonly Use[];
  readonly keys: readonly HeldKey[];
  readonly certificates: readonly Signed[];
  /** How callers' certificates are revoked. */
  readonly revocation: string;
  readonly revocationLists: readonly Signed[];
  /** The parts that could not be read, and so are missing above. */
  readonly faults: readonly string[];
}

export async function takeInventory(config: Config, now: Date): Promise<Inventory> {
  const faults: string[] = [];
  const tls = locateTlsFiles(config, faults);
  return {
    time: now.toISOString(),
    software: { node: process.versions.node, openssl: process.versions.openssl },
    listener: await readTrustMaterial(tls, now).then(
      ({ context }) => probeOffers(context),
      (error: unknown) => void faults.push((error as Error).message),
    ),
    database: await describeDatabase(config.databaseUrl, config.databasePasswordFile),
    webauthn: ALGORITHMS.map(({ cose, name, offered }) => ({
      cose,
      what: offered ? 'offered by default' : 'if a relying party’s policy lists it',
      algorithm: name,
      where: 'src/webauthn/cose.ts',
      postQuantum: classifyPostQuantum(name),
    })),
    service: SERVICE_ALGORITHMS.map((use) => ({ ...use, postQuantum: classifyPostQuantum(use.algorithm) })),
    keys: [
      ...attempt(faults, 'PASSKEY_TLS_KEY_FILE', () => describeServerKeys(config)),
      ...attempt(faults, 'PASSKEY_AUDIT_KEY_FILE', () => describeAuditKeys(config)),
      ...attempt(faults, 'PASSKEY_BINDING_KEY_FILE', () => describeBindingKeys(config)),
      ...attempt(faults, 'PASSKEY_CHALLENGE_KEYS_FILE', () => describeChallengeKeys(config)),
      ...attempt(faults, 'PASSKEY_RECEIPT_KEY_FILE', () => describeReceiptKeys(config)),
      ...attempt(faults, 'PASSKEY_SIGNAL_KEY_FILE', () => describeSignalKeys(config)),
    ],
    certificates: listCertificates({ ...config, tls }, now, faults),
    revocation: describeRevocation(tls),
    revocationLists: await listRevocationLists(tls.crlFile, now, faults),
    faults,
  };
}

/** Completes the paths of the listener's files, as a start does. */
function locateTlsFiles({ tls, accessPolicyFile }: Config, faults: string[]): TlsFiles {
  try {
    return fillInTrustDomain(tls, () => parseAccessPolicy(readFileSync(accessPolicyFile, 'utf8')).trustDomain);
  } catch (error) {
    faults.push(`PASSKEY_ACCESS_POLICY_FILE: ${(error as Error).message}`);
    return tls;
  }
}

function describeRevocation({ shortLivedHours }: TlsFiles): string {
  return shortLivedHours === undefined
    ? 'each authority has a list'
    : `certificates live at most ${String(shortLivedHours)} hours, authorities may have a list`;
}

function listCertificates({ tls, attestationRootsFile }: Config, now: Date, faults: string[]): Signed[] {
  const files = [
    ['PASSKEY_TLS_CERT_FILE', 'server', tls.certFile],
    ['PASSKEY_TLS_CA_FILE', 'authority of callers', tls.caFile],
    ['PASSKEY_ATTESTATION_ROOTS_FILE', 'root of attestations', attestationRootsFile],
  ] as const;
  const builtIn = [
    ...Object.entries(WELL_KNOWN_ROOTS).map(([format, roots]) => [`root of attestations (${format})`, roots] as const),
    ['root of FIDO metadata', FIDO_METADATA_ROOTS] as const,
  ];
  return [
    ...files.flatMap(([setting, what, file]) =>
      file === undefined ? [] : attempt(faults, setting, () => describeCertificates(readPem(file), what, file, now)),
    ),
    ...builtIn.flatMap(([what, roots]) => describeCertificates(roots.join('\n'), what, 'built in', now)),
  ];
}

async function listRevocationLists(file: string | undefined, now: Date, faults: string[]): Promise<Signed[]> {
  if (file === undefined) return [];
  try {
    return await describeRevocationLists(readPem(file), 'callers', file, now);
  } catch (error) {
    return attempt(faults, 'PASSKEY_TLS_CRL_FILE', () => {
      throw error;
    });
  }
}

/**
 * Reports a part that cannot be read and continues with the rest: people need an inventory most when something is
 * wrong.
 */
function attempt<Entry>(faults: string[], setting: string, read: () => Entry[]): Entry[] {
  try {
    return read();
  } catch (error) {
    faults.push(`${setting}: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

function readPem(file: string): string {
  return readFileSync(file, 'latin1');
}
