import type { X509Certificate } from 'node:crypto';
import { ExtendedKeyUsage, type Name, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { listAttributes, demandAttestationLeaf, readCertificate, readExtension } from './attestation-certificate.js';
import { refuseUnless } from './refusal.js';

const SUBJECT_ALTERNATIVE_NAME = '2.5.29.17';
const EXTENDED_KEY_USAGE = '2.5.29.37';
const TCG_KP_AIK_CERTIFICATE = '2.23.133.8.3';

/**
 * TPMv2 EK Credential Profile §3.2.9. Any vendor id is accepted, because the certification path shows the maker of a
 * TPM.
 */
const TPM_ATTRIBUTES = { manufacturer: '2.23.133.2.1', model: '2.23.133.2.2', version: '2.23.133.2.3' } as const;

/** Checks the certificate of an attestation identity key, WebAuthn L3 §8.3.1. @throws Refusal attestation-invalid */
export function demandAikCertificate(leaf: X509Certificate, aaguid: string): void {
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
  refuseUnless(described, 'attestation-invalid', 'no directoryName of the attestation certificate has a TPM’s manufacturer, model and version'); // prettier-ignore
}

/** Finds the attributes in sets of their own, as the profile says, or in one set, as some makers write them. */
function isTpm(name: Name): boolean {
  return Object.values(TPM_ATTRIBUTES).every((oid) => listAttributes(name, oid).some((value) => value !== ''));
}
