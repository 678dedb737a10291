import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import { type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';

/** Somebody with one passkey. */
export interface User {
  readonly id: string;
  readonly authenticator: Authenticator;
  readonly key: CredentialKey;
  /** The credential's id at the contender. */
  credential?: string;
}

/** Coprime to any number of users that is sensible, so that a walk in such strides meets each of them equally often. */
const STRIDE = 7_919;

/** Whom the load is made in the name of. */
export interface UserSource {
  /** Those who must be enrolled before the measurement. */
  readonly enrolled: readonly User[];
  next(): User;
  newcomer(): User;
}

/** Those who are enrolled before the measurement, and newcomers without end. */
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

  /** With the key of somebody else: making keys is no part of what is measured. */
  newcomer(): User {
    this.newcomers += 1;
    const id = `newcomer-${String(process.pid)}-${String(this.newcomers)}`;
    return newUser(id, this.enrolled[this.newcomers % this.enrolled.length]!.key);
  }
}

export function newUser(id: string, key: CredentialKey): User {
  return { id, key, authenticator: new Authenticator() };
}
