import type { AuditEntry } from '../../src/audit/audit-entry.js';
import type { AuditService } from '../../src/audit/audit.service.js';
import type { RequestContext } from '../../src/identity/request-context.js';

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
  /** Set to make every record fail, as when the database is gone. */
  failure: Error | undefined;

  private record(context: RequestContext | null, entry: AuditEntry): Promise<string> {
    if (this.failure) return Promise.reject(this.failure);
    this.entries.push(entry);
    this.contexts.push(context);
    return Promise.resolve(String(this.entries.length));
  }
}
