import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { type AnchorState, Anchors } from './anchors/anchors.js';
import { Metrics } from '../telemetry/metrics.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { AuditService } from './audit.service.js';
import { timeOfId } from './event-id.js';
import { LogStorage } from './log-storage.js';
import { Sequencer } from './sequencer.js';

const INTERVAL_MS = 1_000;
/** An event that waits longer than this for its place in the log is a failure of the log (PCI DSS 10.7). */
const MAX_LAG_MS = 30_000;
const DAY_MS = 86_400_000;
/** Of the log's partitions, which are those of months. */
const MONTHS_AHEAD = 3;

export type LogFailure = 'unreachable' | 'sequencer-lag' | 'event-altered' | 'anchor';

/** For operators. */
export interface LogState {
  /** Leaves of the latest checkpoint that this replica knows. */
  readonly size: number;
  readonly checkpointAt: string | undefined;
  /** For how long the oldest event has waited for its place. */
  readonly lagSeconds: number;
  readonly failures: readonly LogFailure[];
  /** undefined: none is configured */
  readonly anchors: readonly AnchorState[] | undefined;
}

/**
 * Keeps the log going, in every replica: about once a second whoever comes first puts new events in order and signs a
 * checkpoint. What goes wrong is in readiness and metrics while it lasts, and in the log itself once that works again.
 */
@Injectable()
export class LogKeeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(LogKeeper.name);
  private readonly since = new Map<LogFailure, Date>();
  private latest: AuditCheckpointEntity | undefined;
  private lagMs = 0;
  private partitionsAt = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly sequencer: Sequencer,
    private readonly storage: LogStorage,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
    private readonly anchors: Anchors,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setTimeout(() => {
      this.running = this.tick().finally(() => {
        if (!this.stopped) this.onApplicationBootstrap();
      });
    }, INTERVAL_MS).unref();
  }

  /** What was written last gets its place before the process ends. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  state(): LogState {
    const { size = 0, createdAt } = this.latest ?? {};
    const checkpointAt = createdAt?.toISOString();
    return {
      size,
      checkpointAt,
      lagSeconds: Math.round(this.lagMs / 1_000),
      failures: [...this.since.keys()],
      anchors: this.anchors.state(),
    };
  }

  /** One turn. Never throws. */
  async tick(): Promise<void> {
    try {
      await this.makePartitions();
      let batch = await this.sequencer.sequence();
      while (batch) {
        this.anchors.push(batch.checkpoint);
        if (batch.altered.length > 0) this.failed('event-altered', { events: batch.altered.slice(0, 100) });
        batch = batch.more && !this.stopped ? await this.sequencer.sequence(true) : undefined;
      }
      await this.look();
      this.recovered('unreachable');
    } catch (error) {
      this.failed('unreachable', { error: String(error) });
    }
  }

  private async look(): Promise<void> {
    const first = this.latest === undefined;
    this.latest = await this.storage.latestCheckpoint();
    if (first && this.latest) this.anchors.push(this.latest);
    const oldest = await this.storage.oldestAfter(this.latest);
    this.lagMs = oldest === undefined ? 0 : Math.max(0, this.clock.now().getTime() - timeOfId(oldest));
    this.metrics.auditLag.set(this.lagMs / 1_000);
    if (this.latest) {
      this.metrics.auditSize.set(this.latest.size);
      this.metrics.auditCheckpoint.set(this.latest.createdAt.getTime() / 1_000);
    }
    if (this.lagMs > MAX_LAG_MS) this.failed('sequencer-lag', { event: oldest });
    else this.recovered('sequencer-lag');
    const failing = this.anchors.state()?.filter(({ failure }) => failure !== undefined) ?? [];
    if (failing.length > 0) this.failed('anchor', { anchors: failing });
    else this.recovered('anchor');
  }

  private async makePartitions(): Promise<void> {
    const now = this.clock.now();
    if (Math.abs(now.getTime() - this.partitionsAt) < DAY_MS) return;
    await this.dataSource.query('SELECT audit_make_partitions($1::date, $2)', [
      now.toISOString().slice(0, 10),
      MONTHS_AHEAD + 1,
    ]);
    this.partitionsAt = now.getTime();
  }

  private failed(failure: LogFailure, facts: Readonly<Record<string, unknown>>): void {
    this.metrics.auditFailures.inc({ failure });
    if (this.since.has(failure)) return;
    this.since.set(failure, this.clock.now());
    this.logger.error({ message: 'the audit log fails', failure, ...facts });
    this.audit.recordEventually({ type: 'audit.failure', outcome: 'failure', reason: failure, facts });
  }

  private recovered(failure: LogFailure): void {
    const since = this.since.get(failure);
    if (!since) return;
    this.since.delete(failure);
    this.logger.log({ message: 'the audit log works again', failure, since });
    const facts = { since: since.toISOString() };
    this.audit.recordEventually({ type: 'audit.recovery', outcome: 'success', reason: failure, facts });
  }
}
