import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import { type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';

/** A user with one passkey. */
export interface User {
  readonly id: string;
  readonly authenticator: Authenticator;
  readonly key: CredentialKey;
  /** The contender's id of the credential. */
  credential?: string;
}

/** Coprime to any sensible number of users, so a walk in such strides meets each of them equally often. */
const STRIDE = 7_919;

/** The users of the load. */
export interface UserSource {
  /** The users to enrol before the measurement. */
  readonly enrolled: readonly User[];
  next(): User;
  newcomer(): User;
}

/** The users that were enrolled before the measurement, and endless newcomers. */
export class Users implements UserSource {
  readonly enrolled: User[];
  private turn = 0;
  private newcomers = 0;

  constructor(count: number) {
    this.enrolled = Array.from({ length: count }, (_, index) => newUser(`user-${String(index)}`, generateKey('ES256')));
  }

  next(): User {
    this.turn = (this.turn + STRIDE) % this.enrolled.length;
    return this.enrolled[this.turn]!;
  }

  /** Returns a newcomer with another user's key, because the measurement excludes making keys. */
  newcomer(): User {
    this.newcomers += 1;
    const id = `newcomer-${String(process.pid)}-${String(this.newcomers)}`;
    return newUser(id, this.enrolled[this.newcomers % this.enrolled.length]!.key);
  }
}

export function newUser(id: string, key: CredentialKey): User {
  return { id, key, authenticator: new Authenticator() };
}
