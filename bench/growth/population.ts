import { createPrivateKey, createPublicKey, hash } from 'node:crypto';
import { RP_ID } from '../contenders/contender.js';
import { type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';

/** Credentials that are loaded, not registered. The number of a member determines all its data. */
export interface Population {
  readonly size: number;
  /** Milliseconds since 1970: credentials and events spread evenly over the time between. */
  readonly since: number;
  readonly until: number;
  /** Keys that members use in turn, because making ten million takes a day: COSE_Key and PKCS #8, base64. */
  readonly keys: readonly { readonly cose: string; readonly pkcs8: string }[];
}

/** One user with one credential. */
export interface Member {
  readonly rpId: string;
  readonly userId: string;
  readonly handle: Buffer;
  /** The user's pseudonym in the audit log. */
  readonly auditUid: string;
  readonly id: string;
  readonly credentialId: Buffer;
  readonly status: 'active' | 'suspended' | 'revoked';
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

const KEYS = 64;
export const SMALL_RP_ID = 'small.example';
/** The audit log has every tenth member. */
export const ACTIVE_EVERY = 10;

export function newPopulation(size: number, since: number, until: number): Population {
  const keys = Array.from({ length: KEYS }, () => {
    const { cose, privateKey } = generateKey('ES256');
    const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' });
    return { cose: cose.toString('base64'), pkcs8: pkcs8.toString('base64') };
  });
  return { size, since, until, keys };
}

export function compileMember(index: number, { size, since, until }: Population): Member {
  const bytes = hash('sha512', `member ${String(index)}`, 'buffer');
  const createdAt = Math.floor(since + ((until - since) * index) / size);
  return {
    rpId: index % 1_000 === 999 ? SMALL_RP_ID : RP_ID,
    userId: `user-${String(index)}`,
    handle: hash('sha256', `handle ${String(index)}`, 'buffer'),
    auditUid: uuid(bytes.toString('hex', 32, 48), '4'),
    id: uuid(createdAt.toString(16).padStart(12, '0') + bytes.toString('hex', 48, 58), '7'),
    credentialId: bytes.subarray(0, 32),
    status: index % 1_000 === 501 ? 'revoked' : index % 10_000 === 77 ? 'suspended' : 'active',
    createdAt,
  };
}

/** Formats 32 hexadecimal digits as a UUID (RFC 9562 §4). */
function uuid(hex: string, version: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), version + hex.slice(13, 16), `a${hex.slice(17, 20)}`];
  return [...parts, hex.slice(20)].join('-');
}

/** Imports the keys for signing, in their order. */
export function keysOf({ keys }: Population): CredentialKey[] {
  return keys.map(({ cose, pkcs8 }) => {
    const privateKey = createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), type: 'pkcs8', format: 'der' });
    const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
    return { algorithm: 'ES256', privateKey, spki, cose: Buffer.from(cose, 'base64') };
  });
}
