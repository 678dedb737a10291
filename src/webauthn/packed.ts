import { nameOfAlgorithm } from './algorithms.js';
import { type Attestation, attestedBytes } from './attestation.js';
import { attestationAlgorithm, demandSignature, RS1 } from './attestation-algorithms.js';
import { attributesOf, demandAttestationLeaf, readCertificate } from './attestation-certificate.js';
import type { CertificateFields } from '../x509/parsed-certificate.js';
import { publicKeyOf } from './public-key.js';
import { Refusal, step } from './refusal.js';

const SUBJECT = { country: '2.5.4.6', organization: '2.5.4.10', unit: '2.5.4.11', commonName: '2.5.4.3' } as const;
const UNIT = 'Authenticator Attestation';

/** Verifies packed attestation, WebAuthn L3 §8.2. @throws Refusal attestation-invalid */
export function verifyPacked(attestation: Attestation): void {
  const { statement, certificates, credential, algorithm } = attestation;
  const [leaf] = certificates;
  const [alg, sig] = [statement.get('alg'), statement.get('sig')];
  if (!leaf) {
    const own = `the statement is signed with ${nameOfAlgorithm(alg)}, not with the key’s ${nameOfAlgorithm(algorithm)}`;
    step(alg === algorithm, 'attestation-invalid', own);
    const key = publicKeyOf(credential.key);
    demandSignature(attestationAlgorithm(alg, key), key, attestedBytes(attestation), sig);
    return;
  }
  step(alg !== RS1, 'attestation-invalid', 'packed is signed with SHA-1 (RS1), which only tpm may use');
  demandSignature(attestationAlgorithm(alg, leaf.publicKey), leaf.publicKey, attestedBytes(attestation), sig);
  demandPackedLeaf(readCertificate(leaf), credential.aaguid);
}

/** Checks the requirements of §8.2.1. @throws Refusal attestation-invalid */
function demandPackedLeaf(fields: CertificateFields, aaguid: string): void {
  demandAttestationLeaf(fields, aaguid);
  const demand = (oid: string, holds: (value: string) => boolean, what: string): void => {
    if (attributesOf(fields.subject, oid).some(holds)) return;
    throw new Refusal('attestation-invalid', `the attestation certificate’s subject lacks ${what}`);
  };
  const isGiven = (value: string): boolean => value !== '';
  demand(SUBJECT.unit, (unit) => unit === UNIT, `the OU "${UNIT}"`);
  demand(SUBJECT.country, (code) => code.length === 2, 'a country (C) of two letters');
  demand(SUBJECT.organization, isGiven, 'an organization (O)');
  demand(SUBJECT.commonName, isGiven, 'a common name (CN)');
}
