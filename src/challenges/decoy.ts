import { hash, hkdfSync } from 'node:crypto';
import { computeHmac } from '../config/hmac.js';
import { type Admission, type AdmittedKind, isAdmitted } from '../relying-parties/purposes.js';
import type { PublicKeyCredentialDescriptorJSON } from '../webauthn/options.js';

/** A descriptor without its id, and what a purpose may demand of its passkey. */
interface DescriptorShape extends AdmittedKind {
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

/** Lists of one passkey as large providers make it, for a relying party where no user has a passkey yet. */
const USUAL: readonly ListShape[] = [16, 20, 32].map((bytes) =>
  createListShape([{ bytes, transports: ['hybrid', 'internal'], backupEligible: true, trusted: false }], 1),
);

/**
 * Makes the descriptors that a user without passkeys is shown. They are the same each time, nobody can derive them
 * without the key, and their shapes occur as often as those of real lists.
 *
 * A purpose that admits some passkeys only shows those of a user's list, or decoys if none is left. So it shows those of a
 * decoy list, or other decoys: whoever compares the lists of two purposes does not learn who has passkeys.
 *
 * @param shapes the shapes of the relying party's lists; when they change, as few decoys as possible change
 */
export function makeDecoyDescriptors(
  key: Buffer,
  { rpId, userId }: { readonly rpId: string; readonly userId: string },
  shapes: readonly ListShape[],
  admission: Admission,
): PublicKeyCredentialDescriptorJSON[] {
  const name = ['decoy', rpId, userId];
  const decoys = makeList(key, name, shapes, (kind) => isAdmitted(admission, kind));
  if (decoys.length > 0) return decoys;
  const { backup, attestation } = admission;
  return makeList(key, [...name, backup, attestation], selectAdmitted(shapes, admission), () => true);
}

/** Makes the descriptors of a list that is drawn for this name, but only those of a kind. */
function makeList(
  key: Buffer,
  name: readonly string[],
  shapes: readonly ListShape[],
  isOfKind: (kind: AdmittedKind) => boolean,
): PublicKeyCredentialDescriptorJSON[] {
  const seed = computeHmac(key, JSON.stringify(name)).readUInt32BE();
  return drawShape(seed, shapes.length > 0 ? shapes : USUAL).list.flatMap(({ bytes, transports, ...kind }, index) => {
    if (!isOfKind(kind)) return [];
    // The id depends on the length and the transports, because a real credential never changes these under the same id.
    // HKDF in Node.js takes at most 1,024 bytes of info, and a user id alone can be that long, so the info is a hash.
    const info = hash('sha256', JSON.stringify([...name, index, bytes, transports]), 'buffer');
    const id = Buffer.from(hkdfSync('sha256', key, '', info, bytes)).toString('base64url');
    return [{ type: 'public-key', id, transports: [...transports] }];
  });
}

/** Selects the part of each list that a purpose admits. Lists with the same part become one shape. */
function selectAdmitted(shapes: readonly ListShape[], admission: Admission): ListShape[] {
  const parts = shapes.map(({ list, users }) => ({ list: list.filter((kind) => isAdmitted(admission, kind)), users }));
  const alike = Map.groupBy(
    parts.filter(({ list }) => list.length > 0),
    ({ list }) => JSON.stringify(list),
  );
  return [...alike.values()].map((same) =>
    createListShape(
      same[0]!.list,
      same.reduce((sum, { users }) => sum + users, 0),
    ),
  );
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
