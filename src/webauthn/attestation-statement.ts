import { type KeyObject, X509Certificate } from 'node:crypto';
import type * as x509 from '@peculiar/x509';
import { ALGORITHMS } from './algorithms.js';
import { demandBoundedKey, readBoundedChain } from './certificate-bounds.js';
import { parseCertificate } from './parsed-certificate.js';
import { Refusal, step } from './verdict.js';

export type Statement = ReadonlyMap<unknown, unknown>;

/** What a statement is about. */
export interface Attested {
  /** Of the credential key, COSE. */
  readonly algorithm: number;
  readonly aaguid: string;
}

const ES256 = -7;
/** RSASSA-PKCS1-v1_5 with SHA-1: TPMs of Windows still attest with it (WebAuthn L3 §8.3). */
const RS1 = -65_535;
const ID_FIDO_GEN_CE_AAGUID = '1.3.6.1.4.1.45724.1.1.4';

/** Of node:crypto, by COSE key type (that of AKP keys is their algorithm's name) and by COSE curve. */
const KEY_TYPES: Readonly<Record<number, string>> = { 1: 'ed25519', 2: 'ec', 3: 'rsa' };
const CURVES: Readonly<Record<number, string>> = { 1: 'prime256v1', 2: 'secp384r1', 3: 'secp521r1' };

/**
 * What WebAuthn L3 §8 asks of a statement's certificates and algorithm, and the library does not: it lets any algorithm
 * pass whose hash is the right one, several certificates for fido-u2f, and self attestation in another algorithm.
 *
 * @returns the certificates, the leaf first; none for `none` and self attestation
 * @throws Refusal attestation-invalid
 */
export function certificatesOf(format: string, statement: Statement, attested: Attested): X509Certificate[] {
  if (format === 'none') return [];
  const [chain, alg] = [statement.get('x5c'), statement.get('alg')];
  if (chain === undefined) {
    step(format === 'packed', 'attestation-invalid', `${format} without certificates`);
    step(alg === attested.algorithm, 'attestation-invalid', 'self attestation in another algorithm than the key');
    return [];
  }
  const certificates = readBoundedChain(chain).map(certificateOf);
  const leaf = certificates[0]!;
  if (format === 'fido-u2f') verifyU2f(certificates, attested.algorithm);
  if (format === 'packed' || format === 'tpm' || format === 'android-key') {
    const fits = fitsKey(alg, leaf.publicKey) || (format === 'tpm' && alg === RS1 && keyType(leaf) === 'rsa');
    step(fits, 'attestation-invalid', 'the algorithm is not that of the attestation certificate');
  }
  if (format === 'packed' || format === 'tpm') verifyAaguidExtension(leaf, attested.aaguid);
  return certificates;
}

/** Why a statement is not to be trusted although it holds. */
export function weaknessOf(statement: Statement): string | undefined {
  return statement.get('alg') === RS1 ? 'it is signed with SHA-1' : undefined;
}

function certificateOf(der: Uint8Array): X509Certificate {
  try {
    const certificate = new X509Certificate(der);
    demandBoundedKey(certificate.publicKey);
    if (certificate.raw.equals(der)) return certificate;
  } catch (error) {
    if (error instanceof Refusal) throw error;
  }
  throw new Refusal('attestation-invalid', 'x5c holds what is no certificate');
}

const keyType = (certificate: X509Certificate): string | undefined => certificate.publicKey.asymmetricKeyType;

function fitsKey(alg: unknown, key: KeyObject): boolean {
  const algorithm = ALGORITHMS.find(({ cose }) => cose === alg);
  if (algorithm === undefined) return false;
  const type = KEY_TYPES[algorithm.keyType] ?? algorithm.name.toLowerCase();
  if (type !== key.asymmetricKeyType) return false;
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  return namedCurve === undefined || namedCurve === CURVES[algorithm.curve ?? 0];
}

/** §8.6 steps 2 and 3: one certificate, and both keys on P-256. */
function verifyU2f(certificates: readonly X509Certificate[], algorithm: number): void {
  step(certificates.length === 1, 'attestation-invalid', 'fido-u2f has exactly one certificate');
  const onP256 = fitsKey(ES256, certificates[0]!.publicKey);
  step(onP256, 'attestation-invalid', 'the key of a fido-u2f certificate is on P-256');
  step(algorithm === ES256, 'attestation-invalid', 'fido-u2f attests ES256 keys');
}

/** §8.2.1 and §8.3: where the certificate names a model, it is the one of the authenticator data. */
function verifyAaguidExtension(leaf: X509Certificate, aaguid: string): void {
  let named: x509.Extension[];
  try {
    const { extensions } = parseCertificate(leaf);
    named = extensions.filter(({ type }) => type === ID_FIDO_GEN_CE_AAGUID);
  } catch {
    throw new Refusal('attestation-invalid', 'x5c holds what is no certificate');
  }
  const value = `0410${aaguid.replaceAll('-', '')}`;
  const matches = named.every((each) => !each.critical && Buffer.from(each.value).toString('hex') === value);
  step(named.length < 2 && matches, 'attestation-invalid', 'the certificate is of another model');
}
