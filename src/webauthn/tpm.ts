import { createHash, createPublicKey, type KeyObject, type webcrypto, type X509Certificate } from 'node:crypto';
import { ExtendedKeyUsage, type Name, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { Integer, Sequence } from 'asn1js';
import { importPublicKey, RS1, type SignatureAlgorithm } from './cose.js';
import {
  type Attestation,
  demandAttestationLeaf,
  type Distrust,
  getAttestedBytes,
  listAttributes,
  readCertificate,
  readExtension,
} from './attestation.js';
import { demandSignature, findAttestationAlgorithm } from './signature.js';
import { readCertifyInfo, readPublicArea, readTpmSignature } from './tpm-structures.js';
import { Refusal, refuseUnless } from './refusal.js';

/** The hash algorithms of an object's name by TPM_ALG_ID. */
const NAME_HASHES: Readonly<Record<number, string>> = {
  0x0004: 'sha1',
  0x000b: 'sha256',
  0x000c: 'sha384',
  0x000d: 'sha512',
};

const SHA1: Distrust = {
  code: 'sha1',
  detail: 'it rests on SHA-1, which the relying party’s policy does not allow: allowSha1Tpm is false',
};

const UNBOUND: Distrust = {
  code: 'unguarded',
  detail: 'its TPM may give the key away, or did not make it: fixedTPM, fixedParent or sensitiveDataOrigin is not set',
};

/**
 * Verifies TPM attestation, WebAuthn L3 §8.3. It demands no attributes of the key, and the specification's own example has a key
 * that may leave its TPM. So the attestation of such a key is true, but it proves no authenticator that keeps it.
 *
 * @returns a reason not to trust it. The relying party's policy may accept SHA-1
 * @throws Refusal attestation-invalid
 */
export function verifyTpm(attestation: Attestation): Distrust | undefined {
  const { statement, certificates, credential } = attestation;
  const leaf = certificates[0]!;
  refuseUnless(statement.get('ver') === '2.0', 'attestation-invalid', 'ver is not "2.0"');
  const [pubArea, certInfo] = [readBytes(attestation, 'pubArea'), readBytes(attestation, 'certInfo')];
  const { nameAlg, isBound, key } = readPublicArea(pubArea);
  const same = importJwk(key)?.equals(importPublicKey(credential.key)) === true;
  refuseUnless(same, 'attestation-invalid', 'pubArea holds another key than the credential’s');
  const { extraData, name } = readCertifyInfo(certInfo);
  const algorithm = findAttestationAlgorithm(statement.get('alg'), leaf.publicKey);
  const { hash } = algorithm;
  if (hash === undefined) throw new Refusal('attestation-invalid', `${algorithm.name} has no hash for extraData`);
  const ours = createHash(hash).update(getAttestedBytes(attestation)).digest();
  refuseUnless(
    extraData.equals(ours),
    'attestation-invalid',
    'extraData is not the hash of this authenticator data and client data',
  );
  refuseUnless(
    name.equals(computeName(pubArea, nameAlg)),
    'attestation-invalid',
    'certInfo names another object than pubArea',
  );
  demandTpmSignature(algorithm, leaf.publicKey, Buffer.from(certInfo), statement.get('sig'));
  demandAikCertificate(leaf, credential.aaguid);
  if (!isBound) return UNBOUND;
  return algorithm.cose === RS1 || NAME_HASHES[nameAlg] === 'sha1' ? SHA1 : undefined;
}

function readBytes({ statement }: Attestation, member: string): Uint8Array {
  const bytes = statement.get(member);
  refuseUnless(bytes instanceof Uint8Array, 'attestation-invalid', `${member} is not a byte string`);
  return bytes;
}

function importJwk(jwk: webcrypto.JsonWebKey): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
}

/**
 * TPM 2.0 Part 1 §16: the number of the hash algorithm, and the hash of the public area.
 *
 * @throws Refusal attestation-invalid
 */
function computeName(pubArea: Uint8Array, nameAlg: number): Buffer {
  const hash = NAME_HASHES[nameAlg];
  if (hash === undefined)
    throw new Refusal('attestation-invalid', `pubArea’s nameAlg is ${String(nameAlg)}, not one of SHA-1 or SHA-2`);
  const number = Buffer.alloc(2);
  number.writeUInt16BE(nameAlg);
  return Buffer.concat([number, createHash(hash).update(pubArea).digest()]);
}

/**
 * §8.3 defines sig as a TPMT_SIGNATURE, but Windows and the specification's own vectors send its content.
 *
 * @throws Refusal
 */
function demandTpmSignature(algorithm: SignatureAlgorithm, key: KeyObject, signed: Buffer, sig: unknown): void {
  const wrapped = sig instanceof Uint8Array ? readTpmSignature(sig) : undefined;
  demandSignature(
    algorithm,
    key,
    signed,
    wrapped === undefined ? sig : 'rsa' in wrapped ? wrapped.rsa : encodeEcdsaSignature(wrapped),
  );
}

/** Encodes an ECDSA-Sig-Value (RFC 3279 §2.2.3). */
function encodeEcdsaSignature({ r, s }: { r: Buffer; s: Buffer }): Buffer {
  const value = [r, s].map((number) => Integer.fromBigInt(BigInt(`0x0${number.toString('hex')}`)));
  return Buffer.from(new Sequence({ value }).toBER());
}

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const TCG_KP_AIK_CERTIFICATE = '2.23.133.8.3';

/**
 * TPMv2 EK Credential Profile §3.2.9. Any vendor id is accepted, because the certification path shows the maker of a
 * TPM.
 */
const TPM_ATTRIBUTES = { manufacturer: '2.23.133.2.1', model: '2.23.133.2.2', version: '2.23.133.2.3' } as const;

/** Checks the certificate of an attestation identity key, WebAuthn L3 §8.3.1. @throws Refusal attestation-invalid */
function demandAikCertificate(leaf: X509Certificate, aaguid: string): void {
  const fields = readCertificate(leaf);
  demandAttestationLeaf(fields, aaguid);
  const subject = `the attestation certificate’s subject is not empty: ${leaf.subject}`;
  refuseUnless(fields.subject.length === 0, 'attestation-invalid', subject);
  const usages = [...(readExtension(fields, EXTENDED_KEY_USAGE, ExtendedKeyUsage) ?? [])];
  const usage = `the attestation certificate is not for attestation identity keys (${TCG_KP_AIK_CERTIFICATE}), but for `;
  refuseUnless(
    usages.includes(TCG_KP_AIK_CERTIFICATE),
    'attestation-invalid',
    `${usage}${usages.join(', ') || 'nothing'}`,
  );
  const names = [...(readExtension(fields, SUBJECT_ALTERNATIVE_NAME, SubjectAlternativeName) ?? [])];
  const described = names.some(({ directoryName }) => directoryName !== undefined && isTpm(directoryName));
  refuseUnless(
    described,
    'attestation-invalid',
    'no directoryName of the attestation certificate has a TPM’s manufacturer, model and version',
  );
}

/** Finds the attributes in sets of their own, as the profile says, or in one set, as some makers write them. */
function isTpm(name: Name): boolean {
  return Object.values(TPM_ATTRIBUTES).every((oid) => listAttributes(name, oid).some((value) => value !== ''));
}
