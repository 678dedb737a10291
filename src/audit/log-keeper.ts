import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import { type AnchorState, Anchors } from './anchors/anchors.js';
import { databaseUnavailable } from '../problems/database-unavailable.js';
import { Metrics } from '../telemetry/metrics.js';
import type { AuditCheckpointEntity } from './audit-checkpoint.entity.js';
import { timeOfId } from './event-id.js';
import { type LogFailure, LogFailures } from './log-failures.js';
import { LogFault, type LogFaultKind } from './log-fault.js';
import { LogPartitions } from './log-partitions.js';
import { Sequencer } from './sequencer.js';
import { TrustedLog } from './trusted-log.js';
import { UnsequencedEvents } from './unsequenced-events.js';

/** An event that waits longer than this for its place in the log is a failure of the log (PCI DSS 10.7). */
const MAX_LAG_MS = 30_000;
/** What a turn disproves by how it ends. */
const DISPROVED: Readonly<Record<TurnFailure | 'none', readonly TurnFailure[]>> = {
  unreachable: [],
  'sequencer-failed': ['unreachable'],
  'log-altered': ['unreachable', 'sequencer-failed', 'log-truncated'],
  'log-truncated': ['unreachable', 'sequencer-failed', 'log-altered'],
  none: ['unreachable', 'sequencer-failed', 'log-altered', 'log-truncated'],
};

type TurnFailure = LogFaultKind | 'unreachable' | 'sequencer-failed';

/** For operators. */
export interface LogState {
  /** Leaves of the latest checkpoint that this replica knows. */
  readonly size: number;
  readonly checkpointAt: string | undefined;
  /** For how long the oldest event has waited for its place. */
  readonly lagSeconds: number;
  /** Whether that is longer than it may be. */
  readonly standsStill: boolean;
  readonly failures: readonly LogFailure[];
  /** undefined: none is configured */
  readonly anchors: readonly AnchorState[] | undefined;
}

/**
 * Keeps the log going, in every replica: about once a second, under load more often, whoever comes first puts new events
 * in order and signs a checkpoint. What goes wrong is told by LogFailures. Of a replica's workers the first is its keeper:
 * two would sign in turns, and bring their checkpoints to one anchor out of order.
 */
@Injectable()
export class LogKeeper implements OnApplicationBootstrap, OnModuleDestroy {
  /** Whether it is this process that keeps the replica's log. */
  readonly keeps: boolean;
  private latest: AuditCheckpointEntity | undefined;
  private lagMs = 0;
  private lateTurns = 0;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly sequencer: Sequencer,
    private readonly log: TrustedLog,
    private readonly waiting: UnsequencedEvents,
    private readonly partitions: LogPartitions,
    private readonly failures: LogFailures,
    private readonly metrics: Metrics,
    private readonly anchors: Anchors,
    @Inject(CONFIG) { worker }: Pick<Config, 'worker'>,
  ) {
    this.keeps = worker === undefined || worker.number === 1;
  }

  onApplicationBootstrap(): void {
    if (!this.keeps) return;
    this.timer = setTimeout(() => {
      this.running = this.tick().finally(() => {
        if (!this.stopped) this.onApplicationBootstrap();
      });
    }, this.sequencer.intervalMs).unref();
  }

  /** A turn that has begun ends before the process does. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  state(): LogState {
    const { size = 0, createdAt } = this.latest ?? {};
    return {
      size,
      checkpointAt: createdAt?.toISOString(),
      lagSeconds: Math.round(this.lagMs / 1_000),
      standsStill: this.failures.has('sequencer-lag'),
      failures: this.failures.current(),
      anchors: this.anchors.state(),
    };
  }

  /** One turn. Never throws. */
  async tick(): Promise<void> {
    const end = await this.turn();
    for (const failure of DISPROVED[end]) this.failures.recovered(failure);
  }

  private async turn(): Promise<TurnFailure | 'none'> {
    try {
      await this.partitions.make();
      let batch = await this.sequencer.sequence();
      while (batch) {
        this.anchors.push(batch.checkpoint);
        batch = batch.more && !this.stopped ? await this.sequencer.sequence(true) : undefined;
      }
      await this.look();
      return 'none';
    } catch (error) {
      const failure = kindOf(error);
      this.failures.failed(failure, { error: String(error) });
      return failure;
    }
  }

  private async look(): Promise<void> {
    const first = this.latest === undefined;
    this.latest = await this.log.latest();
    if (first && this.latest) this.anchors.push(this.latest);
    const oldest = await this.waiting.oldest(this.latest);
    this.lagMs = oldest === undefined ? 0 : Math.max(0, this.clock.now().getTime() - timeOfId(oldest));
    this.metrics.auditLag.set(this.lagMs / 1_000);
    if (this.latest) {
      this.metrics.auditSize.set(this.latest.size);
      this.metrics.auditCheckpoint.set(this.latest.createdAt.getTime() / 1_000);
    }
    this.tellOfLag(oldest);
    const failing = this.anchors.state()?.filter(({ failure }) => failure !== undefined) ?? [];
    if (failing.length > 0) this.failures.failed('anchor', { anchors: failing });
    else this.failures.recovered('anchor');
  }

  /** An event that was written long after it happened may have had no turn yet: it takes two. */
  private tellOfLag(event: string | undefined): void {
    this.lateTurns = this.lagMs > MAX_LAG_MS ? this.lateTurns + 1 : 0;
    if (this.lateTurns > 1) this.failures.failed('sequencer-lag', { event, seconds: this.lagMs / 1_000 });
    else if (this.lateTurns === 0) this.failures.recovered('sequencer-lag');
  }
}

function kindOf(error: unknown): TurnFailure {
  if (error instanceof LogFault) return error.kind;
  return databaseUnavailable(error) ? 'unreachable' : 'sequencer-failed';
}
