import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { AuditService } from '../../src/audit/audit.service.js';
import { Refusals } from '../../src/audit/refusals.js';
import { type Clock, systemClock } from '../../src/config/clock.js';
import type { RequestContext } from '../../src/http/request-context.js';

/** An audit log in memory, for decisions that need no database. */
export class FakeAudit {
  readonly entries: AuditEntry[] = [];
  /** The context of each entry, in the order of `entries`. */
  readonly contexts: (RequestContext | null)[] = [];
  /** Stands in for AuditService. */
  readonly service = {
    record: this.record.bind(this),
    recordEventually: (entry: AuditEntry) => void this.record(null, entry),
  } as unknown as AuditService;
  /** Refusals that record here. */
  readonly refusals: Refusals;
  /** If set, every record fails with it, as when the database is gone. */
  failure: Error | undefined;

  constructor(clock: Clock = systemClock) {
    this.refusals = new Refusals(this.service, clock);
  }

  private record(context: RequestContext | null, entry: AuditEntry): Promise<string> {
    if (this.failure) return Promise.reject(this.failure);
    this.entries.push(entry);
    this.contexts.push(context);
    return Promise.resolve(String(this.entries.length));
  }
}

/** Counts the refusals that the records report. */
export function countRefusals({ entries }: Pick<FakeAudit, 'entries'>): number {
  return entries.reduce((sum, { facts }) => sum + 1 + Number(facts?.['refused_before_unrecorded'] ?? 0), 0);
}
