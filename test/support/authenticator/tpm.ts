import 'reflect-metadata';
import { createHash, createPublicKey, sign, type X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Attestation, Attested } from './attestation.js';
import { issue, type Issued, type KeyAlgorithm, type Profile } from './certificate-chain.js';
import type { CredentialKey } from './keys.js';

/** The fields that a TPM writes into its structures. An absent member is as Windows Hello makes it. */
export interface TpmShape {
  /** The TPM_ALG_ID of the hash in the object's name. */
  nameAlg?: number;
  /** TPMT_SYM_DEF_OBJECT, scheme and KDF, each as its number with the bytes after it. */
  symmetric?: Buffer;
  scheme?: Buffer;
  kdf?: Buffer;
  /** The public exponent, of which 0 stands for 65537. */
  exponent?: number;
  /** True if the coordinates lose their leading zeros. */
  minimal?: boolean;
  curve?: number;
  type?: number;
  objectAttributes?: number;
  authPolicy?: Buffer;
  magic?: number;
  attestType?: number;
  extraData?: Buffer;
  name?: Buffer;
  qualifiedSigner?: Buffer;
  pubArea?: (honest: Buffer) => Buffer;
  certInfo?: (honest: Buffer) => Buffer;
  sig?: (honest: Buffer) => Buffer;
  statement?: Record<string, unknown>;
}

export const encodeU16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
export const encodeU32 = (value: number): Buffer => Buffer.concat([encodeU16(value >>> 16), encodeU16(value & 0xffff)]);
export const encodeSized = (bytes: Buffer): Buffer => Buffer.concat([encodeU16(bytes.length), bytes]);
const NULL = encodeU16(0x10);
const NAME_HASHES: Record<number, string> = { 0x04: 'sha1', 0x0b: 'sha256', 0x0c: 'sha384', 0x0d: 'sha512' };
const CURVES: Record<string, number> = { 'P-256': 3, 'P-384': 4, 'P-521': 5 };
const HASHES: Record<number, string> = { [-7]: 'sha256', [-35]: 'sha384', [-257]: 'sha256', [-65_535]: 'sha1' };

const AIK_USAGE = '2.23.133.8.3';
/** Manufacturer, model and version (TPMv2 EK Credential Profile §3.2.9). */
export const TPM_NAME = ['2.23.133.2.1=id:FFFFF1D0', '2.23.133.2.2=Model', '2.23.133.2.3=id:13'];

export const makeAlternativeName = (...names: x509.JsonGeneralName[]): x509.Extension =>
  new x509.SubjectAlternativeNameExtension(names, true);
export const makeDirectoryName = (attributes: string[], separator = ', '): x509.JsonGeneralName => ({
  type: 'dn',
  value: attributes.join(separator),
});
export const makeUsages = (...oids: string[]): x509.Extension => new x509.ExtendedKeyUsageExtension(oids);

/** A TPM with the certificate of its attestation identity key. */
export class Tpm {
  readonly root: Issued;
  readonly aik: Issued;

  private constructor(root: Issued, aik: Issued) {
    [this.root, this.aik] = [root, aik];
  }

  static async create(profile: Profile = {}, key?: KeyAlgorithm): Promise<Tpm> {
    const root = await issue({ subject: 'CN=TPM Root', ca: true });
    const extensions = [makeAlternativeName(makeDirectoryName(TPM_NAME)), makeUsages(AIK_USAGE)];
    return new Tpm(root, await issue({ subject: '', extensions, ...(key && { key }), ...profile }, root));
  }

  get certificate(): X509Certificate {
    return this.aik.certificate;
  }

  attest(alg: number, shape: TpmShape = {}): Attestation {
    return (attested) => {
      const hash = HASHES[alg]!;
      const pubArea = (shape.pubArea ?? same)(encodePublicArea(attested.key, shape));
      const certInfo = (shape.certInfo ?? same)(encodeCertifyInfo(attested, pubArea, hash, shape));
      const sig = (shape.sig ?? same)(sign(hash, certInfo, this.aik.privateKey));
      const x5c = [this.certificate.raw];
      return { fmt: 'tpm', attStmt: { ver: '2.0', alg, x5c, sig, certInfo, pubArea, ...shape.statement } };
    };
  }
}

const same = (bytes: Buffer): Buffer => bytes;

function encodePublicArea(key: CredentialKey, shape: TpmShape): Buffer {
  const { nameAlg = 0x0b, symmetric = NULL, scheme = NULL, kdf = NULL } = shape;
  const jwk = createPublicKey(key.privateKey).export({ format: 'jwk' });
  const bytes = (text = ''): Buffer => Buffer.from(text, 'base64url');
  const head = (type: number): Buffer[] => [
    ...[encodeU16(shape.type ?? type), encodeU16(nameAlg), encodeU32(shape.objectAttributes ?? 0x60472)],
    ...[encodeSized(shape.authPolicy ?? Buffer.alloc(0)), symmetric, scheme],
  ];
  if (jwk.kty === 'RSA') {
    const n = bytes(jwk.n);
    return Buffer.concat([...head(1), encodeU16(n.length * 8), encodeU32(shape.exponent ?? 0), encodeSized(n)]);
  }
  const point = [jwk.x, jwk.y].map((coordinate) =>
    encodeSized(shape.minimal ? stripLeadingZeros(bytes(coordinate)) : bytes(coordinate)),
  );
  return Buffer.concat([...head(0x23), encodeU16(shape.curve ?? CURVES[jwk.crv!]!), kdf, ...point]);
}

function encodeCertifyInfo(attested: Attested, pubArea: Buffer, hash: string, shape: TpmShape): Buffer {
  const { nameAlg = 0x0b } = shape;
  const ours = createHash(hash)
    .update(Buffer.concat([attested.authenticatorData, attested.clientDataHash]))
    .digest();
  const name = Buffer.concat([
    encodeU16(nameAlg),
    createHash(NAME_HASHES[nameAlg] ?? 'sha256')
      .update(pubArea)
      .digest(),
  ]);
  return Buffer.concat([
    ...[
      encodeU32(shape.magic ?? 0xff544347),
      encodeU16(shape.attestType ?? 0x8017),
      encodeSized(shape.qualifiedSigner ?? Buffer.alloc(34)),
    ],
    ...[encodeSized(shape.extraData ?? ours), Buffer.alloc(17 + 8)],
    ...[encodeSized(shape.name ?? name), encodeSized(Buffer.alloc(34))],
  ]);
}

function stripLeadingZeros(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  return bytes.subarray(first < 0 ? bytes.length : first);
}
