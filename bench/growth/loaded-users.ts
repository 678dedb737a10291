import { readFileSync } from 'node:fs';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import type { CredentialKey } from '../../test/support/authenticator/keys.js';
import { RP_ID } from '../contenders/contender.js';
import { newUser, type User, type UserSource } from '../load/users.js';
import { keysOf, compileMember, type Population } from './population.js';

/** A prime above any sensible size: a walk in such strides meets each member equally often, and rarely neighbours. */
const STRIDE = 15_485_863;

/** The active members of a population, in an order independent of the table's, and newcomers. */
export class LoadedUsers implements UserSource {
  readonly enrolled: User[] = [];
  readonly population: Population;
  private readonly keys: readonly CredentialKey[];
  private turn = 0;
  private newcomers = 0;

  constructor(population: Population) {
    this.population = population;
    this.keys = keysOf(population);
  }

  static read(path: string): LoadedUsers {
    return new LoadedUsers(JSON.parse(readFileSync(path, 'utf8')) as Population);
  }

  next(): User {
    for (;;) {
      this.turn = (this.turn + STRIDE) % this.population.size;
      const { rpId, status, credentialId, handle, userId, id } = compileMember(this.turn, this.population);
      if (rpId !== RP_ID || status !== 'active') continue;
      const key = this.keys[this.turn % this.keys.length]!;
      const authenticator = new Authenticator();
      authenticator.passkeys.push({ id: credentialId, rpId, userHandle: handle, key, signCount: 0 });
      return { id: userId, authenticator, key, credential: id };
    }
  }

  newcomer(): User {
    this.newcomers += 1;
    return newUser(`newcomer-${String(process.pid)}-${String(this.newcomers)}`, this.keys[0]!);
  }
}
