import { createHash } from 'node:crypto';
import { encode } from 'cborg';

/** The authenticator data of WebAuthn L3 §6.1, with the specification's names. */
export interface Flags {
  UP: boolean;
  UV: boolean;
  BE: boolean;
  BS: boolean;
  AT: boolean;
  ED: boolean;
}

const BIT: Record<keyof Flags, number> = { UP: 0x01, UV: 0x04, BE: 0x08, BS: 0x10, AT: 0x40, ED: 0x80 };

export interface AttestedCredential {
  aaguid: string;
  credentialId: Buffer;
  coseKey: Buffer;
}

export interface AuthenticatorData {
  rpId: string;
  flags: Flags;
  signCount: number;
  attested?: AttestedCredential;
  extensions?: Record<string, unknown>;
}

export const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest();

export function encodeAuthenticatorData(data: AuthenticatorData): Buffer {
  const bits = (Object.keys(BIT) as (keyof Flags)[]).filter((name) => data.flags[name]).map((name) => BIT[name]);
  const signCount = Buffer.alloc(4);
  signCount.writeUInt32BE(data.signCount);
  return Buffer.concat([
    sha256(data.rpId),
    Buffer.from([bits.reduce((sum, bit) => sum | bit, 0)]),
    signCount,
    ...(data.attested ? attestedCredentialData(data.attested) : []),
    ...(data.extensions ? [encode(data.extensions)] : []),
  ]);
}

function attestedCredentialData({ aaguid, credentialId, coseKey }: AttestedCredential): Buffer[] {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(credentialId.length);
  return [Buffer.from(aaguid.replaceAll('-', ''), 'hex'), length, credentialId, coseKey];
}
