import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { AuditService } from '../../src/audit/audit.service.js';
import { Refusals } from '../../src/audit/refusals.js';
import { type Clock, systemClock } from '../../src/config/clock.js';
import type { RequestContext } from '../../src/http/request-context.js';

/** An audit log in memory, for what is decided without a database. */
export class FakeAudit {
  readonly entries: AuditEntry[] = [];
  /** Of each entry. */
  readonly contexts: (RequestContext | null)[] = [];
  /** Where an AuditService is asked for. */
  readonly service = {
    record: this.record.bind(this),
    recordEventually: (entry: AuditEntry) => void this.record(null, entry),
  } as unknown as AuditService;
  /** Where Refusals are asked for. */
  readonly refusals: Refusals;
  /** Set to make every record fail, as when the database is gone. */
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

/** How many refusals the records report. */
export function refusedIn({ entries }: Pick<FakeAudit, 'entries'>): number {
  return entries.reduce((sum, { facts }) => sum + 1 + Number(facts?.['refused_before_unrecorded'] ?? 0), 0);
}
