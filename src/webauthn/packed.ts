import { describeAlgorithm, importPublicKey, RS1 } from './cose.js';
import {
  type Attestation,
  demandAttestationLeaf,
  getAttestedBytes,
  listAttributes,
  readCertificate,
} from './attestation.js';
import { demandSignature, findAttestationAlgorithm } from './signature.js';
import type { CertificateFields } from '../x509/parsed-certificate.js';
import { Refusal, refuseUnless } from './refusal.js';

const SUBJECT = { country: '2.5.4.6', organization: '2.5.4.10', unit: '2.5.4.11', commonName: '2.5.4.3' } as const;
const UNIT = 'Authenticator Attestation';

/** Verifies packed attestation, WebAuthn L3 §8.2. @throws Refusal attestation-invalid */
export function verifyPacked(attestation: Attestation): void {
  const { statement, certificates, credential, algorithm } = attestation;
  const [leaf] = certificates;
  const [alg, sig] = [statement.get('alg'), statement.get('sig')];
  if (!leaf) {
    const own = `the statement is signed with ${describeAlgorithm(alg)}, not with the key’s ${describeAlgorithm(algorithm)}`;
    refuseUnless(alg === algorithm, 'attestation-invalid', own);
    const key = importPublicKey(credential.key);
    demandSignature(findAttestationAlgorithm(alg, key), key, getAttestedBytes(attestation), sig);
    return;
  }
  refuseUnless(alg !== RS1, 'attestation-invalid', 'packed is signed with SHA-1 (RS1), which only tpm may use');
  demandSignature(findAttestationAlgorithm(alg, leaf.publicKey), leaf.publicKey, getAttestedBytes(attestation), sig);
  demandPackedLeaf(readCertificate(leaf), credential.aaguid);
}

/** Checks the requirements of §8.2.1. @throws Refusal attestation-invalid */
function demandPackedLeaf(fields: CertificateFields, aaguid: string): void {
  demandAttestationLeaf(fields, aaguid);
  const demand = (oid: string, holds: (value: string) => boolean, what: string): void => {
    if (listAttributes(fields.subject, oid).some(holds)) return;
    throw new Refusal('attestation-invalid', `the attestation certificate’s subject lacks ${what}`);
  };
  const isGiven = (value: string): boolean => value !== '';
  demand(SUBJECT.unit, (unit) => unit === UNIT, `the OU "${UNIT}"`);
  demand(SUBJECT.country, (code) => code.length === 2, 'a country (C) of two letters');
  demand(SUBJECT.organization, isGiven, 'an organization (O)');
  demand(SUBJECT.commonName, isGiven, 'a common name (CN)');
}
