import { Authenticator } from './authenticator/authenticator.js';
import type { Credential } from './bodies.js';
import type { Ceremonies } from './ceremonies.js';
import type { DevelopmentIdentity } from './service.js';
import { until } from './until.js';

/** Registers users without a pause. It replaces a broken connection, and fails the test on a wrong answer. */
export class RegistrationLoad {
  private readonly acknowledged: Credential[] = [];
  private ending = false;
  private readonly users: Promise<void>[];

  constructor(private readonly ceremonies: Ceremonies<DevelopmentIdentity>) {
    this.users = Array.from({ length: 4 }, (_, index) => this.register(`user-${String(index)}`));
  }

  async more(count: number): Promise<void> {
    const enough = this.acknowledged.length + count;
    await until(() => this.acknowledged.length >= enough);
  }

  /** @returns the acknowledged registrations */
  async end(): Promise<Credential[]> {
    this.ending = true;
    await Promise.all(this.users);
    return this.acknowledged;
  }

  private async register(name: string): Promise<void> {
    for (let count = 0; !this.ending; count += 1) {
      try {
        this.acknowledged.push(await this.ceremonies.registered(`${name}-${String(count)}`, new Authenticator()));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      }
    }
  }
}
