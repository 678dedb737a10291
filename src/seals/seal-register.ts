import { type BeforeApplicationShutdown, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '../config/clock.js';
import { ConfigError } from '../config/config.js';
import type { SecretKeys } from '../config/secret-keys.js';
import { computeCheckValue, computeFormerCheckValue } from './check-value.js';

type Phase = 'new' | 'only-new';

interface Registered {
  readonly keys: readonly { readonly id: string; readonly check_value: Buffer; readonly retired_at: Date | null }[];
  readonly phases: Partial<Record<Phase, Date>>;
}

/** A change in the database counts in every process after this time. */
const INTERVAL_MS = 10_000;

/**
 * What the database says of keys and seals: which keys are retired, and which of two steps from the seals of the version
 * before to those of this one is done. Replicas of both run at the same time while one version replaces the other, and the
 * old ones know old seals only.
 *
 *  1. `new`: the service makes new seals. The migration sets the time, a day ahead if the database has rows.
 *  2. `only-new`: it accepts no old seal any more. The service sets the time once every row has a new seal
 *     (src/key-rotation). It can insert the row and not remove it, so nobody who acts as the service goes back.
 */
export class SealRegister implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(SealRegister.name);
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  private constructor(
    private readonly dataSource: Pick<DataSource, 'query'>,
    private readonly clock: Clock,
    private registered: Registered,
  ) {}

  /** @throws ConfigError if the set of keys lacks one that has sealed rows of the database */
  static async read(
    dataSource: Pick<DataSource, 'query'>,
    clock: Clock,
    keys: Pick<SecretKeys, 'seals'>,
  ): Promise<SealRegister> {
    const registered = await readRegistered(dataSource);
    demandKeys(registered, keys, clock.now());
    if (registered.keys.length === 0) await demandFormerKey(dataSource, keys);
    return new SealRegister(dataSource, clock, registered);
  }

  /** True if rows get new seals, and events need a MAC. */
  get areSealsNew(): boolean {
    return this.hasBegun('new');
  }

  /** True if a row with an old seal, or a user without any, counts as genuine. */
  get areOldAccepted(): boolean {
    return !this.hasBegun('only-new');
  }

  /** True if no seal of the key counts any more. */
  isRetired(keyId: string): boolean {
    const retiredAt = this.findRetirement(keyId);
    return retiredAt !== null && retiredAt <= this.clock.now();
  }

  /** True if the key makes no seal any more, because it is retired or soon will be. */
  isRetiring(keyId: string): boolean {
    return this.findRetirement(keyId) !== null;
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.running = this.running
        .then(() => this.refresh())
        .catch((error: unknown) => {
          this.logger.warn({ message: 'the state of the seal keys could not be read', error });
        });
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** When the new seals begin, or began; undefined: never. */
  get newSince(): Date | undefined {
    return this.registered.phases.new;
  }

  /** Ends the old seals, for all replicas. It counts at the next look. */
  async endOld(through: Pick<DataSource, 'query'> = this.dataSource): Promise<void> {
    await through.query(
      `INSERT INTO seal_phase (phase, since) VALUES ('only-new', $1) ON CONFLICT (phase) DO NOTHING`,
      [this.clock.now()],
    );
  }

  async refresh(): Promise<void> {
    this.registered = await readRegistered(this.dataSource);
  }

  private findRetirement(keyId: string): Date | null {
    return this.registered.keys.find(({ id }) => id === keyId)?.retired_at ?? null;
  }

  private hasBegun(phase: Phase): boolean {
    const since = this.registered.phases[phase];
    return since !== undefined && since <= this.clock.now();
  }
}

async function readRegistered(through: Pick<DataSource, 'query'>): Promise<Registered> {
  const keys = await through.query<Registered['keys']>('SELECT id, check_value, retired_at FROM seal_key');
  const phases = await through.query<{ phase: Phase; since: Date }[]>('SELECT phase, since FROM seal_phase');
  return { keys, phases: Object.fromEntries(phases.map(({ phase, since }) => [phase, since])) };
}

function demandKeys({ keys }: Registered, { seals }: Pick<SecretKeys, 'seals'>, now: Date): void {
  for (const { id, check_value, retired_at: retiredAt } of keys) {
    const retired = retiredAt !== null && retiredAt <= now;
    const key = seals.find((each) => each.id === id);
    if (retired || (key && computeCheckValue(key).equals(check_value))) continue;
    throw new ConfigError([
      `PASSKEY_BINDING_KEY_FILE lacks the key ${id}, which has sealed rows of this database: add its line, or retire the key`,
    ]);
  }
}

/** The version before stored a check value that names no key. */
async function demandFormerKey(
  through: Pick<DataSource, 'query'>,
  { seals }: Pick<SecretKeys, 'seals'>,
): Promise<void> {
  const [former] = await through.query<{ value: Buffer }[]>(
    `SELECT value FROM key_check_value WHERE purpose = 'binding'`,
  );
  if (!former || seals.some((key) => computeFormerCheckValue(key).equals(former.value))) return;
  throw new ConfigError(['PASSKEY_BINDING_KEY_FILE holds another key than the one that sealed this database']);
}
