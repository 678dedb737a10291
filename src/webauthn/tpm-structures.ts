import type { webcrypto } from 'node:crypto';
import { Refusal } from './refusal.js';

/*
 * Reads structures of the TPM 2.0 Library, Part 2, which are big-endian. No byte may be left over. A key with a scheme
 * has the scheme's hash after it, and coordinates have no leading zeros.
 */

/** TPMT_PUBLIC (§12.2.4): the hash algorithm of the name, and the key. */
export interface PublicArea {
  readonly nameAlg: number;
  /** True if the TPM made the key and gives it to nobody. */
  readonly isBound: boolean;
  readonly key: webcrypto.JsonWebKey;
}

/** TPMS_ATTEST (§10.12.8) with a TPMS_CERTIFY_INFO (§10.12.3). */
export interface CertifyInfo {
  readonly extraData: Buffer;
  /** TPM2B_NAME: the number of the hash algorithm, and the hash. */
  readonly name: Buffer;
}

/** TPMT_SIGNATURE (§11.3.4): an RSA signature as OpenSSL takes it, or r and s of an ECDSA signature. */
export type TpmSignature = { readonly rsa: Buffer } | { readonly r: Buffer; readonly s: Buffer };

const TPM_GENERATED_VALUE = 0xff544347;
const TPM_ST_ATTEST_CERTIFY = 0x8017;
const ALG = { rsa: 0x0001, null: 0x0010, rsassa: 0x0014, rsapss: 0x0016, ecdsa: 0x0018, ecc: 0x0023 } as const;

/**
 * The number of bytes after a scheme's number (§11.2.1.5, §11.2.2.2, §11.2.3.3): a hash algorithm; ECDAA also has a
 * count.
 */
const SCHEME_BYTES: Readonly<Record<number, number>> = {
  [ALG.null]: 0,
  [ALG.rsassa]: 2,
  0x0015: 0, // RSAES
  [ALG.rsapss]: 2,
  0x0017: 2, // OAEP
  [ALG.ecdsa]: 2,
  0x0019: 2, // ECDH
  0x001a: 4, // ECDAA
  0x001b: 2, // SM2
  0x001c: 2, // ECSCHNORR
  0x001d: 2, // ECMQV
};
/** The same for TPMT_KDF_SCHEME (§11.2.3.1): MGF1 and the three KDFs have a hash algorithm. */
const KDF_BYTES: Readonly<Record<number, number>> = { [ALG.null]: 0, 0x0007: 2, 0x0020: 2, 0x0021: 2, 0x0022: 2 };
/** The same for TPMT_SYM_DEF_OBJECT (§11.1.7): TDES, AES, SM4 and Camellia have a key length and a mode. */
const SYMMETRIC_BYTES: Readonly<Record<number, number>> = { [ALG.null]: 0, 0x0003: 4, 0x0006: 4, 0x0013: 4, 0x0026: 4 };
/** TPM_ECC_CURVE (§6.4). */
const CURVES: Readonly<Record<number, { crv: string; bytes: number }>> = {
  0x0003: { crv: 'P-256', bytes: 32 },
  0x0004: { crv: 'P-384', bytes: 48 },
  0x0005: { crv: 'P-521', bytes: 66 },
};
/**
 * TPMA_OBJECT (§8.3): fixedTPM, fixedParent and sensitiveDataOrigin. With all of them the TPM made the key, and gives it to no
 * other TPM or parent.
 */
const BOUND = (1 << 1) | (1 << 4) | (1 << 5);
/** The value of an exponent that is encoded as 0 (§12.2.3.5). */
const DEFAULT_EXPONENT = 65_537;
/** The length of clockInfo and firmwareVersion (§10.11.1). */
const CLOCK_AND_FIRMWARE_BYTES = 17 + 8;

/** @throws Refusal attestation-invalid */
export function readPublicArea(bytes: Uint8Array): PublicArea {
  const reader = new TpmReader(bytes, 'pubArea');
  const type = reader.readUint16();
  const nameAlg = reader.readUint16();
  const attributes = reader.take(4).readUInt32BE();
  reader.readSized(); // authPolicy
  if (type !== ALG.rsa && type !== ALG.ecc)
    reader.refuse(`has the type ${toHex(type)}, not RSA (0x0001) or ECC (0x0023)`);
  reader.skipDetails(SYMMETRIC_BYTES, 'symmetric algorithm');
  reader.skipDetails(SCHEME_BYTES, 'scheme');
  const key = type === ALG.rsa ? readRsaKey(reader) : readEccKey(reader);
  reader.end();
  return { nameAlg, isBound: (attributes & BOUND) === BOUND, key };
}

function readRsaKey(reader: TpmReader): webcrypto.JsonWebKey {
  reader.take(2); // keyBits
  const exponent = Buffer.alloc(4);
  exponent.writeUInt32BE(reader.take(4).readUInt32BE() || DEFAULT_EXPONENT);
  return { kty: 'RSA', e: exponent.toString('base64url'), n: reader.readSized().toString('base64url') };
}

function readEccKey(reader: TpmReader): webcrypto.JsonWebKey {
  const id = reader.readUint16();
  const curve = CURVES[id];
  if (!curve) return reader.refuse(`has the curve ${toHex(id)}, not P-256, P-384 or P-521`);
  reader.skipDetails(KDF_BYTES, 'KDF');
  const [x, y] = [reader.readSized(), reader.readSized()].map((coordinate) => {
    if (coordinate.length > curve.bytes) reader.refuse(`has a coordinate of ${String(coordinate.length)} bytes`);
    return Buffer.concat([Buffer.alloc(curve.bytes - coordinate.length), coordinate]).toString('base64url');
  });
  return { kty: 'EC', crv: curve.crv, x: x!, y: y! };
}

/** @throws Refusal attestation-invalid */
export function readCertifyInfo(bytes: Uint8Array): CertifyInfo {
  const reader = new TpmReader(bytes, 'certInfo');
  const [magic, type] = [reader.take(4).readUInt32BE(), reader.readUint16()];
  if (magic !== TPM_GENERATED_VALUE) reader.refuse(`begins with ${toHex(magic)}, not TPM_GENERATED_VALUE (0xff544347)`);
  if (type !== TPM_ST_ATTEST_CERTIFY) reader.refuse(`has the type ${toHex(type)}, not TPM_ST_ATTEST_CERTIFY (0x8017)`);
  reader.readSized(); // qualifiedSigner
  const extraData = reader.readSized();
  reader.take(CLOCK_AND_FIRMWARE_BYTES);
  const name = reader.readSized();
  reader.readSized(); // qualifiedName
  reader.end();
  return { extraData, name };
}

/** @returns undefined when the bytes have another form, such as the bare signature that Windows sends */
export function readTpmSignature(bytes: Uint8Array): TpmSignature | undefined {
  try {
    const reader = new TpmReader(bytes, 'sig');
    const algorithm = reader.readUint16();
    if (algorithm !== ALG.ecdsa && algorithm !== ALG.rsassa && algorithm !== ALG.rsapss) return undefined;
    reader.readUint16(); // hash
    const signature =
      algorithm === ALG.ecdsa ? { r: reader.readSized(), s: reader.readSized() } : { rsa: reader.readSized() };
    reader.end();
    return signature;
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}

class TpmReader {
  private readonly bytes: Buffer;
  private readonly structure: string;
  private at = 0;

  constructor(bytes: Uint8Array, structure: string) {
    this.bytes = Buffer.from(bytes);
    this.structure = structure;
  }

  take(count: number): Buffer {
    if (this.at + count > this.bytes.length) this.refuse('is cut short');
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }

  readUint16(): number {
    return this.take(2).readUInt16BE();
  }

  /** Reads a TPM2B: a size, then that many bytes. */
  readSized(): Buffer {
    return this.take(this.readUint16());
  }

  skipDetails(bytesByAlgorithm: Readonly<Record<number, number>>, what: string): void {
    const algorithm = this.readUint16();
    this.take(
      bytesByAlgorithm[algorithm] ?? this.refuse(`has the ${what} ${toHex(algorithm)}, which Part 2 does not define`),
    );
  }

  end(): void {
    const left = this.bytes.length - this.at;
    if (left > 0) this.refuse(`has ${String(left)} bytes too many`);
  }

  refuse(how: string): never {
    throw new Refusal('attestation-invalid', `${this.structure} ${how}`);
  }
}

const toHex = (value: number): string => `0x${value.toString(16).padStart(4, '0')}`;
