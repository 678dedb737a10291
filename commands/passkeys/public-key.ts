import { CellFault, type Cells } from './cells.js';

const PEM = /^-----BEGIN PUBLIC KEY-----\s[A-Za-z\d+/=\s]+-----END PUBLIC KEY-----\s*$/;

/**
 * Reads a public key as the import takes it.
 *
 * @returns a COSE_Key in base64url, PEM, or a JSON Web Key
 * @throws CellFault
 */
export function readPublicKey(cells: Cells, ...names: string[]): unknown {
  const found = cells.demand(cells.value(...names), ...names);
  const { name, value } = found;
  if (isJwk(value)) return value;
  if (typeof value === 'string' && PEM.test(value)) return value;
  if (typeof value === 'string' && value.startsWith('{')) return readJwk(name, value);
  const bytes = cells.demand(cells.bytes(...names), ...names);
  if (isSequence(bytes)) return toPem(bytes);
  if (isMap(bytes)) return bytes.toString('base64url');
  throw new CellFault(name, 'is neither a COSE_Key nor a SubjectPublicKeyInfo');
}

const isJwk = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { kty?: unknown }).kty === 'string';

function readJwk(name: string, text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    if (isJwk(value)) return value;
  } catch {
    // The fault below says it.
  }
  throw new CellFault(name, 'is no JSON Web Key');
}

/** A CBOR map of 3 to 23 members, as a COSE_Key is (RFC 8949 §3.1, RFC 9052 §7). */
const isMap = (bytes: Buffer): boolean => bytes.length > 32 && bytes[0]! >= 0xa3 && bytes[0]! <= 0xb7;

/** A DER SEQUENCE as long as the bytes. */
function isSequence(bytes: Buffer): boolean {
  if (bytes[0] !== 0x30 || bytes.length < 8) return false;
  const [short, long] = [bytes[1]!, bytes[1]! & 0x7f];
  if (short < 0x80) return bytes.length === short + 2;
  return long <= 2 && bytes.length === bytes.readUIntBE(2, long || 1) + 2 + long;
}

function toPem(der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN PUBLIC KEY-----\n${lines.join('\n')}\n-----END PUBLIC KEY-----\n`;
}

const [AAGUID_BYTES, LENGTH_BYTES] = [16, 2];

/** Reads attested credential data (WebAuthn L3 §6.5.1). @throws CellFault */
export function readAttestedData(bytes: Buffer): { aaguid: string; credentialId: string; publicKey: string } {
  const begin = AAGUID_BYTES + LENGTH_BYTES;
  const end = bytes.length < begin ? Infinity : begin + bytes.readUInt16BE(AAGUID_BYTES);
  if (end >= bytes.length) throw new CellFault('attested_credential_data', 'is cut short');
  return {
    aaguid: bytes.subarray(0, AAGUID_BYTES).toString('hex'),
    credentialId: bytes.subarray(begin, end).toString('base64url'),
    publicKey: bytes.subarray(end).toString('base64url'),
  };
}
