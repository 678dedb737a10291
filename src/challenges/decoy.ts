import { createHmac, hash, hkdfSync } from 'node:crypto';
import type { PublicKeyCredentialDescriptorJSON } from '../webauthn/json.js';

/** A descriptor without its id. */
interface DescriptorShape {
  /** The length of the id. */
  readonly bytes: number;
  /** Sorted. */
  readonly transports: readonly string[];
}

/** The shape of a user's list of passkeys, and how many users have such a list. */
export interface ListShape {
  readonly list: readonly DescriptorShape[];
  readonly users: number;
  /** Distinguishes the shape from others. */
  readonly salt: number;
}

export function createListShape(list: readonly DescriptorShape[], users: number): ListShape {
  return { list, users, salt: hash('sha256', JSON.stringify(list), 'buffer').readUInt32BE() };
}

/** Sorts them as browsers do (WebAuthn L3 §5.2.1.1), in descriptors of passkeys and of decoys alike. */
export function sortTransports(transports: readonly string[]): string[] {
  return [...transports].sort();
}

/** One passkey of a large provider, for a relying party that has no user with a passkey yet. */
const USUAL: readonly ListShape[] = [16, 20, 32].map((bytes) =>
  createListShape([{ bytes, transports: ['hybrid', 'internal'] }], 1),
);

/**
 * Makes the descriptors for a user without passkeys. They are the same each time, cannot be derived without the key, and have
 * the shapes of real lists, as often as these have them.
 *
 * @param shapes the shapes of the relying party's lists; a change of them changes as few decoys as it can
 */
export function decoyDescriptors(
  key: Buffer,
  user: { readonly rpId: string; readonly userId: string },
  shapes: readonly ListShape[],
): PublicKeyCredentialDescriptorJSON[] {
  const name = ['decoy', user.rpId, user.userId];
  const seed = createHmac('sha256', key).update(JSON.stringify(name)).digest().readUInt32BE();
  return drawShape(seed, shapes.length > 0 ? shapes : USUAL).list.map(({ bytes, transports }, index) => {
    // Another length and other transports make it another credential, as a real id keeps its own. Node.js takes at most
    // 1,024 bytes of information, and a user id alone may be as long: so this is its hash.
    const info = hash('sha256', JSON.stringify([...name, index, bytes, transports]), 'buffer');
    const id = Buffer.from(hkdfSync('sha256', key, '', info, bytes)).toString('base64url');
    return { type: 'public-key', id, transports: [...transports] };
  });
}

/** Weighted rendezvous hashing: each shape bids by the seed, and the lowest bid wins as often as the shape's weight says. */
function drawShape(seed: number, shapes: readonly ListShape[]): ListShape {
  const bids = shapes.map(({ salt, users }) => -Math.log((mix(seed ^ salt) + 0.5) / 2 ** 32) / users);
  return shapes[bids.indexOf(Math.min(...bids))]!;
}

/** MurmurHash3's finalizer: each bit of the result depends on each bit of the value. */
function mix(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
