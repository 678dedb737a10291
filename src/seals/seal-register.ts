import { type BeforeApplicationShutdown, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import type { Clock } from '../config/clock.js';
import { ConfigError } from '../config/config.js';
import type { SecretKeys } from '../config/secret-keys.js';
import type { Metrics } from '../telemetry/metrics.js';
import { computeCheckValue, computeFormerCheckValue } from './check-value.js';

type Phase = 'new' | 'only-new';

interface Registered {
  readonly keys: readonly {
    readonly id: string;
    readonly check_value: Buffer;
    readonly first: boolean;
    readonly retired_at: Date | null;
  }[];
  readonly newSince: Date | undefined;
  /** Whatever time the row has: the service's role can add one with any time before the service does. */
  readonly hasEndedOld: boolean;
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
 *     (src/reconciliation). It can insert the row and not remove it, so nobody who acts as the service goes back.
 */
export class SealRegister implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(SealRegister.name);
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  private constructor(
    private readonly dataSource: Pick<DataSource, 'query'>,
    private readonly clock: Clock,
    private readonly keys: Pick<SecretKeys, 'seals'>,
    private readonly metrics: Pick<Metrics, 'oldSealsAccepted'>,
    private registered: Registered,
  ) {
    this.showMetric();
  }

  /** @throws ConfigError if the set of keys lacks one that has sealed rows of the database */
  static async read(
    dataSource: Pick<DataSource, 'query'>,
    clock: Clock,
    keys: Pick<SecretKeys, 'seals'>,
    metrics: Pick<Metrics, 'oldSealsAccepted'>,
  ): Promise<SealRegister> {
    const registered = await readRegistered(dataSource);
    demandKeys(registered, keys, clock.now());
    if (registered.keys.length === 0) await demandFormerKey(dataSource, keys);
    return new SealRegister(dataSource, clock, keys, metrics, registered);
  }

  /** True if rows get new seals, and events need a MAC. */
  get areSealsNew(): boolean {
    const since = this.newSince;
    return since === undefined || since <= this.clock.now();
  }

  /** True if a row with an old seal, or a user without any, counts as genuine. */
  get areOldAccepted(): boolean {
    return !this.registered.hasEndedOld;
  }

  /**
   * A key that has sealed rows of the database and that this process lacks, because it has another file than a replica that
   * seals; undefined: none. Then the process takes good rows and events for forged ones.
   */
  get missingKey(): string | undefined {
    return findMissing(this.registered, this.keys, this.clock.now());
  }

  /** True if each key of this process is retired, or soon will be. Whatever it seals is refused later. */
  get cannotSeal(): boolean {
    return this.keys.seals.every(({ id }) => this.isRetiring(id));
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

  /** When the new seals begin, or began; undefined: nobody says, so they have begun. */
  get newSince(): Date | undefined {
    return this.registered.newSince;
  }

  /**
   * Ends the old seals, for all replicas. It counts at the next look.
   *
   * @returns false: another replica has ended them
   */
  async endOld(through: Pick<DataSource, 'query'>): Promise<boolean> {
    const ended = await through.query<object[]>(
      `INSERT INTO seal_phase (phase, since) VALUES ('only-new', $1) ON CONFLICT (phase) DO NOTHING RETURNING phase`,
      [this.clock.now()],
    );
    return ended.length > 0;
  }

  async refresh(): Promise<void> {
    this.registered = await readRegistered(this.dataSource);
    this.showMetric();
    const { missingKey } = this;
    if (missingKey !== undefined) this.logger.error({ message: 'a key that has sealed rows is missing', missingKey });
    if (this.cannotSeal)
      this.logger.error({ message: 'every key of PASSKEY_BINDING_KEY_FILE ends: no request is served' });
  }

  private showMetric(): void {
    this.metrics.oldSealsAccepted.set(this.areOldAccepted ? 1 : 0);
  }

  private findRetirement(keyId: string): Date | null {
    return this.registered.keys.find(({ id }) => id === keyId)?.retired_at ?? null;
  }
}

async function readRegistered(through: Pick<DataSource, 'query'>): Promise<Registered> {
  const keys = await through.query<Registered['keys']>(
    'SELECT id, check_value, first_at IS NOT NULL AS first, retired_at FROM seal_key',
  );
  const phases = await through.query<{ phase: Phase; since: unknown }[]>('SELECT phase, since FROM seal_phase');
  const since = phases.find(({ phase }) => phase === 'new')?.since;
  // SQL may have set `infinity`, which `pg` reads as a number.
  const newSince = since instanceof Date && Number.isFinite(since.getTime()) ? since : undefined;
  return { keys, newSince, hasEndedOld: phases.some(({ phase }) => phase === 'only-new') };
}

function demandKeys(registered: Registered, keys: Pick<SecretKeys, 'seals'>, now: Date): void {
  const missing = findMissing(registered, keys, now);
  if (missing === undefined) return;
  throw new ConfigError([
    keys.seals.some(({ id }) => id === missing)
      ? `the key ${missing} of PASSKEY_BINDING_KEY_FILE does not fit its check value in the database (seal_key)`
      : `PASSKEY_BINDING_KEY_FILE lacks the key ${missing}, which has sealed rows of this database: add its line, or retire the key`,
  ]);
}

/** Finds a key that has sealed, that is not retired, and that the set lacks. A key that is only added seals nothing yet. */
function findMissing({ keys }: Registered, { seals }: Pick<SecretKeys, 'seals'>, now: Date): string | undefined {
  return keys.find(({ id, check_value, first, retired_at: retiredAt }) => {
    if (!first || (retiredAt !== null && retiredAt <= now)) return false;
    const key = seals.find((each) => each.id === id);
    return !key || !computeCheckValue(key).equals(check_value);
  })?.id;
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
