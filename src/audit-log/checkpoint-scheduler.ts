import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { CONFIG, type Config, isFirstWorker } from '../config/config.js';
import { Anchors, type AnchorState } from '../anchors/anchors.js';
import { isDatabaseAway } from '../http/database-unavailable.js';
import { Metrics } from '../telemetry/metrics.js';
import type { AuditCheckpointEntity } from './log.entities.js';
import { LogCheck } from './log-check.js';
import { type LogFailure, LogFailures } from './log-failures.js';
import { LogFault, type LogFaultKind, TrustedLog } from './trusted-log.js';
import { LogPartitions } from './log-partitions.js';
import { type StandstillCause, StandstillDetector } from './standstill-detector.js';
import { PendingEventsRepository } from './pending-events.repository.js';
import { Sequencer } from './sequencer.js';
import { UnsealedEvents } from './unsealed-events.js';

/** The failures that each outcome of a turn rules out. */
const RULED_OUT: Readonly<Record<TurnFailure | TurnSuccess, readonly TurnFailure[]>> = {
  unreachable: [],
  'sequencer-failed': ['unreachable'],
  'log-altered': ['unreachable', 'sequencer-failed', 'log-truncated'],
  'log-truncated': ['unreachable', 'sequencer-failed', 'log-altered'],
  waiting: [],
  none: ['unreachable', 'sequencer-failed', 'log-altered', 'log-truncated'],
};

type TurnFailure = LogFaultKind | 'unreachable' | 'sequencer-failed';
/** `waiting`: nobody has sequenced the pending events yet, so another replica may fail in the same way at this moment. */
type TurnSuccess = 'none' | 'waiting';

/** State of the log, for operators. */
export interface LogState {
  /** Number of leaves in the latest checkpoint that this replica knows. */
  readonly size: number;
  readonly checkpointAt: string | undefined;
  /** How long the oldest event has been pending. It grows while the process cannot determine it. */
  readonly lagSeconds: number;
  /**
   * When the log stopped making progress although events are pending; undefined until that lasts longer than
   * MAX_LAG_MS.
   */
  readonly standsStillSince: string | undefined;
  /** Why the last turn did nothing; undefined if it worked or had nothing to do. */
  readonly cause: StandstillCause | undefined;
  readonly failures: readonly LogFailure[];
  /** undefined if no anchor is configured. */
  readonly anchors: readonly AnchorState[] | undefined;
  /** Why this process does not know what was anchored before its start; undefined if it does, or there is no anchor. */
  readonly forgotten: string | undefined;
}

/**
 * Runs the sequencer in every replica. About once a second, and more often under load, the replica that comes first
 * sequences the pending events and signs a checkpoint. LogFailures reports what goes wrong. Only the first worker of a
 * replica does this: two would sign in turns, and deliver their checkpoints to one anchor out of order.
 */
@Injectable()
export class CheckpointScheduler implements OnApplicationBootstrap, OnModuleDestroy {
  /** True if this process runs the sequencer for its replica. */
  readonly isActive: boolean;
  private latest: AuditCheckpointEntity | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly sequencer: Sequencer,
    private readonly log: TrustedLog,
    private readonly pending: PendingEventsRepository,
    private readonly partitions: LogPartitions,
    private readonly check: LogCheck,
    private readonly standstill: StandstillDetector,
    private readonly failures: LogFailures,
    private readonly metrics: Metrics,
    private readonly anchors: Anchors,
    private readonly unsealed: UnsealedEvents,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.isActive = isFirstWorker(config);
  }

  /** Compares the log with the anchored one before the first answer to a caller. */
  async onApplicationBootstrap(): Promise<void> {
    if (!this.isActive) return;
    this.partitions.start();
    await this.log.readLatest().catch(async (error: unknown) => {
      // Any other failure may be over at the first turn, which reports it if it is not.
      if (error instanceof LogFault) await this.noteFailure(error);
    });
    this.scheduleTick();
  }

  private scheduleTick(): void {
    this.timer = setTimeout(() => {
      this.running = this.tick().finally(() => {
        if (!this.stopped) this.scheduleTick();
      });
    }, this.sequencer.intervalMs).unref();
  }

  /** Waits for a turn that has begun. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await Promise.all([this.running, this.partitions.stop()]);
    this.unsealed.report();
  }

  getState(): LogState {
    const { size = 0, createdAt } = this.latest ?? {};
    const { lagMs, since, cause } = this.standstill;
    return {
      size,
      checkpointAt: createdAt?.toISOString(),
      lagSeconds: Math.round(lagMs / 1_000),
      standsStillSince: since?.toISOString(),
      cause,
      failures: this.failures.listCurrent(),
      anchors: this.anchors.getState(),
      forgotten: this.log.memory.forgotten,
    };
  }

  /** Runs one turn. Never throws. */
  async tick(): Promise<void> {
    const end = await this.runTurn();
    for (const failure of RULED_OUT[end]) this.failures.reportRecovery(failure);
    this.reportLag();
    if (end === 'none' || end === 'waiting') await this.runCheck();
    this.unsealed.reportIfDue();
  }

  private async runTurn(): Promise<TurnFailure | TurnSuccess> {
    try {
      let batch = await this.sequencer.sequence();
      while (batch) {
        if (batch.checkpoint) this.anchors.push(batch.checkpoint);
        batch = batch.more && !this.stopped ? await this.sequencer.sequence(true) : undefined;
      }
      await this.updateState();
      return this.standstill.moves ? 'none' : 'waiting';
    } catch (error) {
      return this.noteFailure(error);
    }
  }

  private async noteFailure(error: unknown): Promise<TurnFailure> {
    const failure = toTurnFailure(error);
    await this.standstill.noteTurn(undefined, error as Error);
    this.failures.reportFailure(failure, { error, heldBy: this.standstill.cause?.heldBy });
    return failure;
  }

  private async updateState(): Promise<void> {
    this.latest = await this.log.readLatest();
    // Another replica or a request for a proof may have signed it.
    if (this.latest) this.anchors.push(this.latest);
    const oldest = await this.pending.findOldest();
    await this.standstill.noteTurn({ size: this.latest?.size ?? 0, oldest });
    if (this.latest) {
      this.metrics.sequencedEvents.set(this.latest.size);
      this.metrics.latestCheckpoint.set(this.latest.createdAt.getTime() / 1_000);
    }
    const failing = this.anchors.getState()?.filter(({ failure }) => failure !== undefined) ?? [];
    if (failing.length > 0) this.failures.reportFailure('anchor', { anchors: failing });
    else this.failures.reportRecovery('anchor');
  }

  /** Runs the log check. The sequencer does not depend on its result. */
  private async runCheck(): Promise<void> {
    try {
      await this.check.run();
      this.failures.reportRecovery('self-verification');
    } catch (error) {
      this.failures.reportFailure('self-verification', { error });
    }
  }

  private reportLag(): void {
    const { lagMs, late, since, cause } = this.standstill;
    this.metrics.oldestPendingEventAge.set(lagMs / 1_000);
    if (late === 'yes')
      this.failures.reportFailure('sequencer-lag', { seconds: Math.round(lagMs / 1_000), since, cause });
    else if (late === 'no') this.failures.reportRecovery('sequencer-lag');
  }
}

function toTurnFailure(error: unknown): TurnFailure {
  if (error instanceof LogFault) return error.kind;
  return isDatabaseAway(error) ? 'unreachable' : 'sequencer-failed';
}
