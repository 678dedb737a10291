import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AccessService } from '../access/access.service.js';
import { AuditService } from '../audit/audit.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import type { SignalLimits } from '../config/signal-settings.js';
import { RepeatedWork } from '../config/repeated-work.js';
import { Metrics } from '../telemetry/metrics.js';
import { AuthorizationSeal } from './authorization-seal.js';
import { type Backlog, SignalRepository } from './signal.repository.js';
import { STREAM_STATUSES, type StreamEntity } from './stream.entity.js';
import { StreamRepository } from './stream.repository.js';

const INTERVAL_MS = 10_000;
const HOUR_MS = 3_600_000;
/** A receiver that was not heard of for this many times the retention is gone. */
const INACTIVE_RETENTIONS = 4;

/** Seconds without a call after which a stream is disabled (`inactivity_timeout`, SSF 1.0 §8.1.1). */
export function getInactivitySeconds({ retentionHours }: SignalLimits): number {
  return retentionHours * INACTIVE_RETENTIONS * 3_600;
}

/** What operators see of the outbox. */
export interface OutboxState {
  /** Signals that no receiver has acknowledged yet. */
  readonly waiting: number;
  /** The age of the oldest of them; 0: nothing waits. */
  readonly oldestSeconds: number;
}

/**
 * Keeps the outbox bounded: drops what is older than the retention or more than a stream may have, the oldest first. Each drop is
 * recorded and counted, the stream shows it, and its receiver is told. It also disables streams whose receiver is gone, and takes
 * over what the access policy says. Every process does this, and none waits for another.
 */
@Injectable()
export class StreamUpkeep implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(StreamUpkeep.name);
  private readonly limits: SignalLimits;
  private readonly work = new RepeatedWork(
    () => this.run(),
    (error) => {
      this.logger.warn({ message: 'the outbox of signals was not looked after', error });
    },
  );
  private backlog: Backlog = { waiting: 0, oldest: null };

  constructor(
    private readonly streams: StreamRepository,
    private readonly signals: SignalRepository,
    private readonly seal: AuthorizationSeal,
    private readonly access: AccessService,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) config: Pick<Config, 'signalLimits'>,
  ) {
    this.limits = config.signalLimits;
  }

  onApplicationBootstrap(): void {
    this.work.begin(INTERVAL_MS);
  }

  beforeApplicationShutdown(): Promise<void> {
    return this.work.end();
  }

  describeState(): OutboxState {
    const { waiting, oldest } = this.backlog;
    return { waiting, oldestSeconds: oldest ? this.ageOf(oldest) : 0 };
  }

  async run(): Promise<void> {
    const all = await this.streams.listAll();
    for (const status of STREAM_STATUSES)
      this.metrics.signals.streams.set({ status }, all.filter((stream) => stream.status === status).length);
    for (const { owner, id } of all) {
      await this.streams.transaction(async (manager) => {
        const stream = await this.streams.lock(manager, owner, id);
        if (stream) await this.keep(manager, stream);
      });
    }
    await this.signals.dropOrphans();
    this.backlog = await this.signals.measure();
    const { waiting, oldestSeconds } = this.describeState();
    this.metrics.signals.waiting.set(waiting);
    this.metrics.signals.oldest.set(oldestSeconds);
  }

  private async keep(manager: EntityManager, stream: StreamEntity): Promise<void> {
    await this.renewSeal(manager, stream);
    const { id, owner, status } = stream;
    const receiver = this.access.findReceiver(owner);
    if (receiver && JSON.stringify(receiver.relyingParties) !== JSON.stringify(stream.relyingParties)) {
      const relyingParties = receiver.relyingParties && [...receiver.relyingParties];
      await this.streams.update(stream, { relyingParties }, manager);
      if (relyingParties) await this.signals.dropDenied(manager, id, relyingParties);
    }
    const seconds = getInactivitySeconds(this.limits);
    if (status !== 'disabled' && this.ageOf(stream.activeAt) > seconds) await this.disable(manager, stream, seconds);
    else await this.bound(manager, stream);
  }

  /** Also while nothing is pushed, so that a key may go, and that a header is bound to the URL that it has now. */
  private async renewSeal(manager: EntityManager, stream: StreamEntity): Promise<void> {
    const { id, endpointUrl, pushAuthorization } = stream;
    if (endpointUrl === null || !pushAuthorization) return;
    const renewed = this.seal.renew({ id, endpointUrl }, pushAuthorization);
    if (renewed) await this.streams.update(stream, { pushAuthorization: renewed }, manager);
  }

  private async bound(manager: EntityManager, stream: StreamEntity): Promise<void> {
    const now = this.clock.now();
    const { retentionHours, mostWaiting } = this.limits;
    // By whole hours, so that a receiver that sleeps on leaves one event an hour.
    const before = new Date((Math.floor(now.getTime() / HOUR_MS) - retentionHours) * HOUR_MS);
    const expired = await this.signals.dropOld(manager, stream.id, before);
    const beyond = await this.signals.dropBeyond(manager, stream.id, mostWaiting);
    if (expired + beyond === 0) return;
    this.metrics.signals.dropped.inc({ reason: 'retention' }, expired);
    this.metrics.signals.dropped.inc({ reason: 'backlog' }, beyond);
    await this.streams.update(stream, { droppedAt: now }, manager);
    const reason = `${String(expired + beyond)} signals were dropped before they were delivered`;
    const facts = { status: stream.status, reason };
    await this.tell(manager, stream, facts);
    const event = { type: 'signal-stream.drop', outcome: 'failure', streamId: stream.id } as const;
    await this.audit.record(
      null,
      { ...event, detail: reason, facts: { expired, beyond, owner: stream.owner } },
      manager,
    );
  }

  private async disable(manager: EntityManager, stream: StreamEntity, seconds: number): Promise<void> {
    const updatedAt = this.clock.now();
    const statusReason = `the receiver was not heard of for ${String(seconds / 86_400)} days`;
    await this.signals.deleteAll(manager, stream.id);
    await this.tell(manager, stream, { status: 'disabled', reason: statusReason });
    await this.streams.update(stream, { status: 'disabled', statusReason, updatedAt }, manager);
    const facts = { status_before: stream.status, status: 'disabled', status_reason: statusReason };
    const event = { type: 'signal-stream.update', outcome: 'success', streamId: stream.id, facts } as const;
    await this.audit.record(null, event, manager);
  }

  /** SSF 1.0 §8.1.5: a stream-updated event, also of a stream that gets nothing else. */
  private async tell(
    manager: EntityManager,
    { id }: StreamEntity,
    facts: { status: string; reason: string },
  ): Promise<void> {
    const happenedAt = this.clock.now();
    await this.signals.writeOwn(manager, id, {
      kind: 'stream-updated',
      facts,
      txn: `upkeep-${happenedAt.toISOString()}`,
      happenedAt,
    });
  }

  private ageOf(time: Date): number {
    return Math.max(0, Math.floor((this.clock.now().getTime() - time.getTime()) / 1_000));
  }
}
