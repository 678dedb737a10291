import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import type { AuditEntry } from '../audit/audit-entry.js';
import { AuditService } from '../audit/audit.service.js';
import { EventMacs } from '../audit/event-macs.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config, isFirstWorker } from '../config/config.js';
import { Metrics } from '../telemetry/metrics.js';
import { describeFinding, type Finding, FINDINGS } from './judge-rows.js';
import {
  type FindingCounts,
  type Progress,
  readProgress,
  storeProgress,
  takeWalk,
} from './reconciliation.repository.js';
import { SealRefresh } from './seal-refresh.js';
import { BEGINNING, type WalkedPage, walkPage } from './walk-page.js';

/** Requests come first: a process that has just started waits before its first page. */
const FIRST_MS = 60_000;
/** Time between two pages of all replicas. */
const PAGE_MS = 1_000;
/** The walk rests this many times as long as a page took, so a slow database gets few pages. */
const REST = 9;
/** A walk begins this long after the one before began. */
const WALK_MS = 3_600_000;

/** The state of the walk, for operators. */
export interface ReconciliationState {
  /** When the last whole walk ended; undefined before the first, or before this process has looked. */
  readonly completedAt: string | undefined;
  /** The number of findings by kind, of the last whole walk or of the present one. */
  readonly findings: FindingCounts;
  /** Why the last page could not be walked; undefined if it could. */
  readonly failure: string | undefined;
}

/**
 * Walks through all rows in the background, page by page, and holds them against the audit log. Replicas take turns: the
 * pages of all of them are at least a second apart. A finding is in the audit log before the walk goes on.
 */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, OnModuleDestroy {
  /** True if this process walks for its replica. */
  readonly isActive: boolean;
  private readonly logger = new Logger(Reconciler.name);
  private readonly beginsAt: number;
  private latest: Progress | undefined;
  private failure: string | undefined;
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<unknown> = Promise.resolve();
  private stopped = false;

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly audit: AuditService,
    private readonly metrics: Metrics,
    private readonly seals: SealRefresh,
    private readonly macs: EventMacs,
    @Inject(CONFIG) config: Pick<Config, 'worker'>,
  ) {
    this.isActive = isFirstWorker(config);
    this.beginsAt = clock.now().getTime() + FIRST_MS;
  }

  onApplicationBootstrap(): void {
    if (this.isActive) this.scheduleTick();
  }

  private scheduleTick(): void {
    this.timer = setTimeout(() => {
      this.running = this.tick().finally(() => {
        if (!this.stopped) this.scheduleTick();
      });
    }, PAGE_MS).unref();
  }

  /** Waits for a page that is being walked. */
  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.running;
  }

  getState(): ReconciliationState {
    const { completedAt } = this.latest ?? {};
    return { completedAt: completedAt?.toISOString(), findings: this.countFindings(), failure: this.failure };
  }

  /** Walks a page, if one is due. Never throws. */
  async tick(): Promise<void> {
    if (this.clock.now().getTime() < this.beginsAt) return;
    try {
      this.latest = await readProgress(this.dataSource);
      if (this.isDue(this.latest) && !this.seals.lacksKey) await this.walk();
      this.failure = undefined;
    } catch (error) {
      if (this.failure === undefined) this.logger.warn({ message: 'rows could not be held against the log', error });
      this.failure = String(error);
    }
    this.showMetrics();
  }

  /** A time that is too far ahead is that of a clock that was wrong. */
  private isDue({ dueAt }: Progress): boolean {
    const wait = dueAt.getTime() - this.clock.now().getTime();
    return wait <= 0 || wait > WALK_MS;
  }

  private async walk(): Promise<void> {
    await this.dataSource.transaction('READ COMMITTED', async (manager) => {
      const progress = await takeWalk(manager);
      if (!progress || !this.isDue(progress)) return;
      const began = performance.now();
      const page = await walkPage(manager, progress.place, { isGenuine: (event) => this.macs.isGenuine(event) });
      for (const finding of page.unreported) await this.report(manager, finding);
      const old = page.rows ? await this.seals.refresh(manager, page.rows) : 0;
      const walked = { ...progress, oldSeals: progress.oldSeals + old };
      if (!page.next && progress.beganAt) await this.seals.endWalk(manager, { ...walked, beganAt: progress.beganAt });
      this.latest = this.advance(walked, page, performance.now() - began);
      await storeProgress(manager, this.latest);
      this.metrics.reconciledRows.inc({ phase: progress.place.phase }, page.walked);
    });
  }

  private advance(progress: Progress, { findings, next }: WalkedPage, tookMs: number): Progress {
    const now = this.clock.now();
    const beganAt = progress.beganAt ?? now;
    const found = addCounts(progress.found, findings);
    const dueAt = new Date(now.getTime() + Math.max(PAGE_MS, REST * tookMs));
    if (next) return { ...progress, place: next, beganAt, found, dueAt };
    const nextWalk = new Date(Math.max(dueAt.getTime(), Math.min(beganAt.getTime(), now.getTime()) + WALK_MS));
    const ended = { completedAt: now, findings: found };
    return { place: BEGINNING, beganAt: null, found: {}, oldSeals: 0, dueAt: nextWalk, ...ended };
  }

  private async report(manager: EntityManager, finding: Finding): Promise<void> {
    const { kind: reason, table, subject, rpId, userId, credentialId, event } = finding;
    const found = describeFinding(finding);
    this.logger.error({ message: 'a row contradicts the audit log', table, subject, rpId, found, event });
    const entry: AuditEntry = {
      type: 'reconciliation.finding',
      outcome: 'failure',
      reason,
      detail: `a row of ${table} contradicts the audit log`,
      rpId,
      userId,
      credential: credentialId === undefined ? undefined : { id: subject, credentialId },
      facts: { table, found, event },
    };
    await this.audit.record(null, entry, manager);
  }

  /** Findings of the present walk count at once, and those of the last one until the end of the present one. */
  private countFindings(): FindingCounts {
    const { found = {}, findings = {} } = this.latest ?? {};
    const counts = FINDINGS.map((kind) => [kind, Math.max(found[kind] ?? 0, findings[kind] ?? 0)] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  private showMetrics(): void {
    const counts = this.countFindings();
    for (const finding of FINDINGS) this.metrics.reconciliationFindings.set({ finding }, counts[finding] ?? 0);
    if (!this.latest) return;
    const { completedAt, beganAt } = this.latest;
    // A first walk that never ends, or never begins, is late some day, too.
    const since = (completedAt ?? beganAt)?.getTime() ?? this.beginsAt;
    this.metrics.reconciliationCompleted.set(since / 1_000);
  }
}

function addCounts(counts: FindingCounts, findings: readonly Finding[]): FindingCounts {
  const sum: Partial<Record<Finding['kind'], number>> = { ...counts };
  for (const { kind } of findings) sum[kind] = (sum[kind] ?? 0) + 1;
  return sum;
}
