import { type KeyObject, verify } from 'node:crypto';
import { type Metadata, MetadataError, readMetadata } from './metadata.js';
import { verifySigner } from './signer-chain.js';

/*
 * FIDO Metadata Service v3.1 §3.1.7 and §3.2. The BLOB is a JWS in compact serialization (RFC 7515 §7.1) whose header
 * names an algorithm and carries the chain of the signer (x5c). The chain must lead to a root, and the signature must
 * verify with its first certificate. Only then is the payload read. A header with extensions (crit) is refused, a URL
 * (x5u) is never fetched, and a key in the header (jwk) is not read.
 */

/** Limit for the whole file. FIDO's has about 8 MiB. */
export const MAX_BLOB_BYTES = 64 * 1_024 * 1_024;

const SIGNER = 'mds.fidoalliance.org';
const MAX_HEADER_CHARACTERS = 64 * 1_024;
const BASE64URL = /^[A-Za-z0-9_-]+$/;

interface Header {
  readonly alg: keyof typeof ALGORITHMS;
  readonly chain: readonly Buffer[];
}

const ALGORITHMS = {
  RS256: (data: Buffer, key: KeyObject, signature: Buffer): boolean =>
    key.asymmetricKeyType === 'rsa' && verify('sha256', data, key, signature),
  ES256: (data: Buffer, key: KeyObject, signature: Buffer): boolean =>
    key.asymmetricKeyType === 'ec' &&
    key.asymmetricKeyDetails?.namedCurve === 'prime256v1' &&
    verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature),
} as const;

/**
 * @param roots PEM
 * @throws MetadataError
 */
export function verifyMetadataBlob(file: Buffer, roots: readonly string[], now: Date): Metadata {
  if (file.length > MAX_BLOB_BYTES) throw new MetadataError(`the file has more than ${String(MAX_BLOB_BYTES)} bytes`);
  const { signed, header, payload, signature } = splitJws(file);
  const { alg, chain } = readHeader(header);
  const { publicKey } = verifySigner(chain, roots, SIGNER, now);
  if (!ALGORITHMS[alg](signed, publicKey, signature)) throw new MetadataError('the signature is not valid');
  return readMetadata(parseJson(payload, 'the payload'));
}

interface Parts {
  readonly signed: Buffer;
  readonly header: Buffer;
  readonly payload: Buffer;
  readonly signature: Buffer;
}

function splitJws(file: Buffer): Parts {
  const text = file.toString('latin1').trim();
  const [header = '', payload = '', signature = '', ...more] = text.split('.');
  if (more.length > 0 || header.length > MAX_HEADER_CHARACTERS) throw new MetadataError('the file is not a JWS');
  if (![header, payload, signature].every((part) => BASE64URL.test(part))) {
    throw new MetadataError('the file is not a JWS');
  }
  return {
    signed: Buffer.from(`${header}.${payload}`, 'latin1'),
    header: Buffer.from(header, 'base64url'),
    payload: Buffer.from(payload, 'base64url'),
    signature: Buffer.from(signature, 'base64url'),
  };
}

function readHeader(bytes: Buffer): Header {
  const header = parseJson(bytes, 'the header');
  const { alg, x5c, crit } = (typeof header === 'object' ? (header ?? {}) : {}) as Record<string, unknown>;
  if (crit !== undefined) throw new MetadataError('the header has critical extensions');
  if (typeof alg !== 'string' || !Object.hasOwn(ALGORITHMS, alg)) {
    throw new MetadataError(`the algorithm is ${JSON.stringify(alg)}; it must be RS256 or ES256`);
  }
  if (!Array.isArray(x5c) || !x5c.every((entry) => typeof entry === 'string')) {
    throw new MetadataError('the header has no chain (x5c)');
  }
  return { alg: alg as Header['alg'], chain: x5c.map((entry) => Buffer.from(entry, 'base64')) };
}

function parseJson(bytes: Buffer, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (cause) {
    throw new MetadataError(`${what} is not JSON`, { cause });
  }
}
