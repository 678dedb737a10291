/*
 * This folder reads and judges X.509 (RFC 5280). It knows neither TLS nor files: bytes and texts go in, values and flaws come out.
 *
 *  - pem.ts reads and writes the text form of certificates, keys and lists (RFC 7468). `readPemBlocks` is for the files that
 *    decide about trust: it refuses a file of which OpenSSL would read less than its author wrote. `findPemBlocks` takes what
 *    it finds.
 *  - der.ts reads and writes DER, element by element, and reads BER.
 *  - svid.ts reads the SPIFFE ID of a caller from its certificate, and signature-twin.ts the certificate's other fingerprint.
 *  - revocation-list.ts parses revocation lists, and authority-key.ts tells whose lists they are.
 *  - certificate-path.ts validates the path of an attestation certificate, and parsed-certificate.ts gives it the fields that
 *    node:crypto hides.
 */

/** Stands at both ends of the first and of the last line of a block. */
export const PEM_DELIMITER = '-----';

export interface PemBlock {
  /** The block with its BEGIN and END lines. */
  readonly text: string;
  readonly der: Buffer;
}

/**
 * Reads the blocks with a label in a file (RFC 7468) and skips everything else.
 *
 * @param label a regular expression
 * @throws Error when a block has no end, as in a half-written file, or shares a line with other text: OpenSSL would
 *   silently skip such a block and all that follow it
 */
export function readPemBlocks(file: string, label: string): PemBlock[] {
  const frame = `^-----BEGIN (?:${label})-----[ \\t]*\\r?\\n([^-]+)^-----END (?:${label})-----[ \\t\\r]*$`;
  const blocks = [...file.matchAll(new RegExp(frame, 'gm'))];
  const begun = file.match(new RegExp(`-----BEGIN (?:${label})`, 'g')) ?? [];
  if (begun.length > blocks.length) throw new Error('it is cut off, or its BEGIN or END is not on a line of its own');
  return blocks.map(([text, base64]) => ({ text, der: Buffer.from(base64!, 'base64') }));
}

/**
 * Finds the blocks with a label in a text, with their BEGIN and END, wherever they stand.
 *
 * @param label a regular expression
 */
export function findPemBlocks(text: string, label: string): string[] {
  return text.match(new RegExp(`-----BEGIN (${label})-----[^-]+-----END \\1-----`, 'g')) ?? [];
}

export function toPem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}
