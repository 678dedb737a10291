/**
 * Holds the rows against the audit log. A seal shows that the service wrote a row, but not that it is the last one that
 * the service wrote: an old row with its old seal is as good as the present one. The log has the history
 * (docs/adr/0028-rows-are-held-against-the-log.md).
 *
 * reconciler.ts walks in the background, page by page, and reports findings:
 *
 * 1. reconciliation.repository.ts has the turn of the replicas and how far the walk is.
 * 2. walk-page.ts reads a page: rows of a table with the events about them, or events whose rows are missing
 *    (held-pages.repository.ts). pending-changes.ts adds the pending events that the service wrote.
 * 3. row-history.ts adds up what the events say about a row, and judge-rows.ts compares it with the row.
 * 4. seal-refresh.ts verifies the seals of each page of rows, and seals rows again whose seal is old.
 *
 * commands/reconcile.ts does the whole walk at once, also with events that have left the database.
 */
import { Module } from '@nestjs/common';
import { ApprovalsModule } from '../approvals/approvals.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { Reconciler } from './reconciler.js';
import { SealRefresh } from './seal-refresh.js';

@Module({ imports: [ApprovalsModule, CredentialsModule, RelyingPartiesModule], providers: [Reconciler, SealRefresh] })
export class ReconciliationModule {}
