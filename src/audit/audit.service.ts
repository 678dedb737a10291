import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { named, type Queryable } from '../database/named-statement.js';
import type { RequestContext } from '../identity/request-context.js';
import { Metrics } from '../telemetry/metrics.js';
import type { AuditEntry } from './audit-entry.js';
import { auditInsert, type AuditRow, auditRow } from './audit-row.js';

const RECORD = named('audit-record', auditInsert(1));

/**
 * Writes down what happened. A change passes its transaction's manager, so that there is no change without its record;
 * a refusal has no change to share and is committed before the answer. When the record cannot be written, the call
 * fails and so does the request.
 */
@Injectable()
export class AuditService {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly metrics: Metrics,
  ) {}

  /** The row of an event, for a statement that writes it together with its change. */
  row(context: RequestContext | null, entry: AuditEntry, time: Date = this.clock.now()): AuditRow {
    return auditRow(entry, context, time);
  }

  /** @returns the event's id */
  async record(
    context: RequestContext | null,
    entry: AuditEntry,
    through: Queryable = this.dataSource,
  ): Promise<string> {
    const row = this.row(context, entry);
    await RECORD.run(through, row.values);
    this.count(row);
    return row.id;
  }

  /** Shows an event that a statement of its own has written in the metrics. */
  count({ entry: { type, outcome, reason = '' } }: AuditRow): void {
    this.metrics.events.inc({ type, outcome, reason });
  }
}
