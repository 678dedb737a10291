import { type Attestation, attestedBytes } from './attestation.js';
import { attestationAlgorithm, demandSignature, RS1 } from './attestation-algorithms.js';
import { attributesOf, demandAttestationLeaf, readCertificate } from './attestation-certificate.js';
import { type CertificateFields } from './parsed-certificate.js';
import { publicKeyOf } from './public-key.js';
import { Refusal, step } from './verdict.js';

const SUBJECT = { country: '2.5.4.6', organization: '2.5.4.10', unit: '2.5.4.11', commonName: '2.5.4.3' } as const;
const UNIT = 'Authenticator Attestation';

/** Packed attestation, WebAuthn L3 §8.2. @throws Refusal attestation-invalid */
export function verifyPacked(attestation: Attestation): void {
  const { statement, certificates, credential, algorithm } = attestation;
  const [leaf] = certificates;
  const [alg, sig] = [statement.get('alg'), statement.get('sig')];
  if (!leaf) {
    const own = `self attestation is in the algorithm ${String(alg)}, not in the key’s, ${String(algorithm)}`;
    step(alg === algorithm, 'attestation-invalid', own);
    const key = publicKeyOf(credential.key);
    demandSignature(attestationAlgorithm(alg, key), key, attestedBytes(attestation), sig);
    return;
  }
  step(alg !== RS1, 'attestation-invalid', 'packed is signed with SHA-1 (RS1), which only tpm may be');
  demandSignature(attestationAlgorithm(alg, leaf.publicKey), leaf.publicKey, attestedBytes(attestation), sig);
  demandPackedLeaf(readCertificate(leaf), credential.aaguid);
}

/** §8.2.1. @throws Refusal attestation-invalid */
function demandPackedLeaf(fields: CertificateFields, aaguid: string): void {
  demandAttestationLeaf(fields, aaguid);
  const attributes = (oid: string): string[] => attributesOf(fields.subject, oid);
  const demand = (holds: boolean, what: string): void => {
    if (!holds) throw new Refusal('attestation-invalid', `the attestation certificate’s subject has ${what}`);
  };
  demand(attributes(SUBJECT.unit).includes(UNIT), `not the OU "${UNIT}"`);
  demand(attributes(SUBJECT.country).some((code) => code.length === 2), 'no country (C) of two letters'); // prettier-ignore
  demand(
    attributes(SUBJECT.organization).some((name) => name !== ''),
    'no organization (O)',
  );
  demand(
    attributes(SUBJECT.commonName).some((name) => name !== ''),
    'no common name (CN)',
  );
}
