import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config, isFirstWorker } from '../config/config.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import type { RelyingPartyEntity } from '../relying-parties/relying-party.entity.js';
import { hasEnded } from '../relying-parties/successor.js';
import { Metrics } from '../telemetry/metrics.js';
import { EndedRelyingParties } from './ended-relying-parties.js';
import { readUserPage } from './moved-users.repository.js';
import {
  claimCount,
  continueCount,
  type CountedUsers,
  forgetOthers,
  readCounts,
  storeCount,
} from './succession.repository.js';
import { addUp, type MovedUsers, UserCount } from './user-count.js';

const COUNTING_MS = 1_000;
const IDLE_MS = 10_000;
/** Requests come first: of each second, a count takes this much. */
const TURN_MS = 100;
/** An end within this time is near. */
const NEAR_MS = 14 * 86_400_000;

/**
 * Looks after relying parties with a successor: counts who has moved, warns before an end that shuts users out, and has the
 * end recorded. One process of each replica does it, and of all replicas one counts the users of a relying party.
 */
@Injectable()
export class SuccessionWatch implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly isActive: boolean;
  private readonly logger = new Logger(SuccessionWatch.name);
  private count: (UserCount & { readonly id: string }) | undefined;
  private hasFailed = false;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly parties: RelyingPartiesService,
    private readonly ends: EndedRelyingParties,
    private readonly metrics: Metrics,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.isActive = isFirstWorker(config);
  }

  onApplicationBootstrap(): void {
    if (this.isActive) this.scheduleTick();
  }

  private scheduleTick(): void {
    this.timer = setTimeout(
      () => {
        void this.tick().finally(() => {
          if (!this.stopped) this.scheduleTick();
        });
      },
      this.count ? COUNTING_MS : IDLE_MS,
    ).unref();
  }

  /** Waits for a page that is being counted. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  /** Never throws. A tick waits for the one before. */
  tick(): Promise<void> {
    this.running = this.running.then(() => this.run());
    return this.running;
  }

  private async run(): Promise<void> {
    try {
      if (!this.count) await this.look();
      if (this.count) await this.goOn(this.count);
      this.hasFailed = false;
    } catch (error) {
      this.count = undefined;
      if (!this.hasFailed)
        this.logger.warn({ message: 'relying parties with a successor were not looked after', error });
      this.hasFailed = true;
    }
  }

  /** Looks at all of them, and claims a count that is due. */
  private async look(): Promise<void> {
    const { parties, tampered } = await this.parties.listSuccessions();
    const named = parties.map(({ rpId, successor }) => ({ rpId, successor: successor!.rpId }));
    // Of a row that fails its integrity check nobody knows if it has a successor.
    if (tampered === 0)
      await forgetOthers(
        this.dataSource,
        named.map(({ rpId }) => rpId),
      );
    const counts = await readCounts(this.dataSource, named);
    for (const party of parties) await this.ends.record(party, counts.get(party.rpId));
    this.showMetrics(parties, counts);
    for (const { rpId, successor } of named) {
      const id = randomUUID();
      if (!(await claimCount(this.dataSource, { rpId, successor, id, now: this.clock.now() }))) continue;
      this.count = Object.assign(new UserCount(rpId, successor), { id });
      return;
    }
  }

  private async goOn(count: UserCount & { readonly id: string }): Promise<void> {
    const { rpId, successor, id } = count;
    const began = performance.now();
    do {
      const [from, other] = count.phase === 'here' ? [rpId, successor] : [successor, rpId];
      count.add(await readUserPage(this.dataSource, { rpId: from, other, after: count.after, now: this.clock.now() }));
    } while (!count.isDone && !this.stopped && performance.now() - began < TURN_MS);
    const now = this.clock.now();
    if (count.isDone) await this.store(count, now);
    else if (await continueCount(this.dataSource, rpId, id, now)) return;
    this.count = undefined;
  }

  private async store({ rpId, id, moved }: UserCount & { readonly id: string }, now: Date): Promise<void> {
    await storeCount(this.dataSource, rpId, id, { countedAt: now, users: moved });
    const { successor } = await this.parties.get(rpId);
    const left = addUp(moved.onlyHere);
    if (left === 0 || !isNear(successor?.endsAt, now)) return;
    const message = 'a relying party ends soon, and users have no passkey at its successor';
    this.logger.warn({ message, rpId, successor: successor?.rpId, endsAt: successor?.endsAt, users: left });
  }

  private showMetrics(parties: readonly RelyingPartyEntity[], counts: ReadonlyMap<string, CountedUsers>): void {
    const now = this.clock.now();
    const sum = (of: readonly RelyingPartyEntity[], group: keyof MovedUsers): number =>
      of.reduce((total, { rpId }) => total + addUp(counts.get(rpId)?.users[group] ?? NOBODY), 0);
    for (const [group, label] of LABELS) this.metrics.migration.users.set({ passkeys: label }, sum(parties, group));
    const near = parties.filter((party) => isNear(party.successor?.endsAt, now) && !hasEnded(party, now));
    this.metrics.migration.endingUsers.set(sum(near, 'onlyHere'));
  }
}

const NOBODY = { within7Days: 0, within30Days: 0, within90Days: 0, earlier: 0, never: 0 };

const LABELS: readonly [keyof MovedUsers, string][] = [
  ['onlyHere', 'only-here'],
  ['both', 'both'],
  ['onlyAtSuccessor', 'only-at-successor'],
];

function isNear(endsAt: string | null | undefined, now: Date): boolean {
  return typeof endsAt === 'string' && Date.parse(endsAt) - now.getTime() <= NEAR_MS;
}
