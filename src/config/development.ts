import type { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Config } from './config.js';

/*
 * These constants identify the files and the relying party that a development start generates, so that production can refuse
 * them. `dev/` generates them, and is not in the image.
 */

export const DEVELOPMENT_TRUST_DOMAIN = 'passkey-manager.local';

/** The subject of the development CA. */
export const DEVELOPMENT_CA_NAME = 'CN=Passkey Manager development CA';

/** The relying party of a new development database. */
export const DEVELOPMENT_RELYING_PARTY = { rpId: 'localhost', name: 'Development', origins: ['http://localhost:3000'] };

/** Development keys begin with these bytes. Their number is a multiple of three, so base64 shows them. */
export const MARK = 'Passkey Manager development key.';
export const MARKED_BYTES = Buffer.from(`${MARK} `);

/** Says if the content of a key file comes from development. */
export function isDevelopmentKey(text: string): boolean {
  return text.includes(MARK);
}

/** Describes the settings whose files development generated, one text each. */
export function describeDevelopmentFiles(
  { bindingKeyFile, auditKeyFile, receiptKeyFile, signals }: Config,
  trust: { readonly certificate: X509Certificate; readonly authorities: readonly X509Certificate[] },
  trustDomain: string,
): string[] {
  const found = {
    PASSKEY_TLS_CERT_FILE: isDevelopmentCertificate(trust.certificate),
    PASSKEY_TLS_CA_FILE: trust.authorities.some(isDevelopmentCertificate),
    PASSKEY_ACCESS_POLICY_FILE: trustDomain === DEVELOPMENT_TRUST_DOMAIN,
    PASSKEY_AUDIT_KEY_FILE: isDevelopmentKey(readFileSync(auditKeyFile, 'latin1')),
    PASSKEY_BINDING_KEY_FILE: readFileSync(bindingKeyFile, 'latin1').startsWith(MARKED_BYTES.toString('base64')),
    PASSKEY_RECEIPT_KEY_FILE: receiptKeyFile !== undefined && isDevelopmentKey(readFileSync(receiptKeyFile, 'latin1')),
    PASSKEY_SIGNAL_KEY_FILE: signals !== undefined && isDevelopmentKey(readFileSync(signals.keyFile, 'latin1')),
  };
  return Object.entries(found)
    .filter(([, isDevelopment]) => isDevelopment)
    .map(
      ([name]) =>
        `${name} names a file that development generated: make your own (docs/deployment.md); only a trial may set PASSKEY_ALLOW_DEVELOPMENT=true`,
    );
}

/** Reports whether a certificate comes from a development CA, or is the certificate of one. */
function isDevelopmentCertificate({ issuer }: X509Certificate): boolean {
  return issuer === DEVELOPMENT_CA_NAME;
}
