import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { AuditService } from '../../src/audit/audit.service.js';
import { Refusals } from '../../src/audit/refusals.js';
import { type Clock, systemClock } from '../../src/config/clock.js';
import type { RequestContext } from '../../src/http/request-context.js';

type Recorder = Pick<AuditService, 'record' | 'recordEventually'>;

/** An audit log in memory, for decisions that need no database. A test can make it slow, or make it fail. */
export class FakeAudit implements Recorder {
  readonly entries: AuditEntry[] = [];
  /** The context of each entry, in the order of `entries`. */
  readonly contexts: (RequestContext | null)[] = [];
  /** Refusals that record here. */
  readonly refusals: Refusals;
  /** The number of records that were begun. */
  begun = 0;
  /** If set, a record waits for it. */
  gate: Promise<unknown> | undefined;

  constructor(clock: Clock = systemClock) {
    this.refusals = new Refusals(this.service, clock);
  }

  get service(): AuditService {
    return this as Recorder as AuditService;
  }

  /** Returns true if a record fails, as when the database is gone. */
  fails: (entry: AuditEntry) => boolean = () => false;

  async record(context: RequestContext | null, entry: AuditEntry): Promise<string> {
    this.begun += 1;
    if (this.gate) await this.gate;
    if (this.fails(entry)) throw new Error('the database is gone');
    this.entries.push(entry);
    this.contexts.push(context);
    return String(this.entries.length);
  }

  recordEventually(entry: AuditEntry): void {
    void this.record(null, entry);
  }
}

/** Counts the refusals that the records report. */
export function countRefusals({ entries }: Pick<FakeAudit, 'entries'>): number {
  return entries.reduce((sum, { facts }) => sum + 1 + Number(facts?.['refused_before_unrecorded'] ?? 0), 0);
}
