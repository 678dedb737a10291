import { hash, hkdfSync } from 'node:crypto';
import { computeHmac } from '../config/hmac.js';
import type { PublicKeyCredentialDescriptorJSON } from '../webauthn/options.js';

/** A descriptor without its id. */
interface DescriptorShape {
  /** Length of the credential id in bytes. */
  readonly bytes: number;
  /** Sorted. */
  readonly transports: readonly string[];
}

/** The shape of a user's list of passkeys, and the number of users who have such a list. */
export interface ListShape {
  readonly list: readonly DescriptorShape[];
  readonly users: number;
  /** The first 32 bits of the SHA-256 of the list: the part of a bid that differs between shapes. */
  readonly salt: number;
}

export function createListShape(list: readonly DescriptorShape[], users: number): ListShape {
  return { list, users, salt: hash('sha256', JSON.stringify(list), 'buffer').readUInt32BE() };
}

/** Sorts transports as browsers do (WebAuthn L3 §5.2.1.1). Real descriptors and decoys both use it. */
export function sortTransports(transports: readonly string[]): string[] {
  return [...transports].sort();
}

/** Lists of one passkey as large providers make it, for a relying party where no user has a passkey yet. */
const USUAL: readonly ListShape[] = [16, 20, 32].map((bytes) =>
  createListShape([{ bytes, transports: ['hybrid', 'internal'] }], 1),
);

/**
 * Makes the descriptors that a user without passkeys is shown. They are the same each time, nobody can derive them
 * without the key, and their shapes occur as often as those of real lists.
 *
 * @param shapes the shapes of the relying party's lists; when they change, as few decoys as possible change
 */
export function makeDecoyDescriptors(
  key: Buffer,
  user: { readonly rpId: string; readonly userId: string },
  shapes: readonly ListShape[],
): PublicKeyCredentialDescriptorJSON[] {
  const name = ['decoy', user.rpId, user.userId];
  const seed = computeHmac(key, JSON.stringify(name)).readUInt32BE();
  return drawShape(seed, shapes.length > 0 ? shapes : USUAL).list.map(({ bytes, transports }, index) => {
    // The id depends on the length and the transports, because a real credential never changes these under the same id.
    // HKDF in Node.js takes at most 1,024 bytes of info, and a user id alone can be that long, so the info is a hash.
    const info = hash('sha256', JSON.stringify([...name, index, bytes, transports]), 'buffer');
    const id = Buffer.from(hkdfSync('sha256', key, '', info, bytes)).toString('base64url');
    return { type: 'public-key', id, transports: [...transports] };
  });
}

/**
 * Weighted rendezvous hashing: each shape makes a bid from the seed, and the lowest bid wins. A shape wins as often as
 * its weight says.
 */
function drawShape(seed: number, shapes: readonly ListShape[]): ListShape {
  const bids = shapes.map(({ salt, users }) => -Math.log((mixBits(seed ^ salt) + 0.5) / 2 ** 32) / users);
  return shapes[bids.indexOf(Math.min(...bids))]!;
}

/** MurmurHash3's finalizer: each bit of the result depends on each bit of the value. */
function mixBits(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
