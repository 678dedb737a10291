/**
 * Records events. It turns an AuditEntry, as a feature reports it, into one row of `audit_event`, in the transaction or the
 * statement of the change that it records.
 *
 * 1. audit-entry.ts has the catalogue of events, with the OCSF class and activity of each.
 * 2. redact-user-id.ts removes the user's id from texts that callers wrote. pseudonyms.ts finds the pseudonyms of users
 *    and derives the stand-ins of strangers.
 * 3. ocsf.ts converts the entry to its OCSF record.
 * 4. audit-event.repository.ts makes the row with its leaf hash. It has the only INSERT, which also makes the event pending.
 * 5. audit.service.ts writes the row, at once or eventually.
 *
 * Anyone can be refused as often as they like, so refusals.ts records a limited number of refusals and counts the others
 * (refusal-recorder.ts). src/audit-log orders, signs and reads what is recorded here.
 */
import { Global, Module } from '@nestjs/common';
import { AuditService } from './audit.service.js';
import { EventMacs } from './event-macs.js';
import { Refusals } from './refusals.js';
import { UserSeals } from './user-seals.js';

/** Every feature records its events through this module. `audit-log` orders, signs and reads them. */
@Global()
@Module({
  providers: [AuditService, EventMacs, Refusals, UserSeals],
  exports: [AuditService, EventMacs, Refusals, UserSeals],
})
export class AuditModule {}
