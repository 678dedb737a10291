import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { AccessService } from '../access/access.service.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { AuditService } from '../audit/audit.service.js';
import { isLeafIndex } from './dto/export.query.js';
import { toFirstId } from '../audit/event-id.js';
import { type LeafRange, LogLines } from './log-lines.js';
import { LogProofs } from './log-proofs.js';
import { ExportLimiter } from './export-limiter.js';
import { reauthorizeStream } from './reauthorize-stream.js';

/** How far the order of the log may differ from the order of the events' times. */
const DISORDER_MS = 600_000;

/** Exports the log to auditors, by time or by leaf index. */
@Injectable()
export class LogExport {
  private readonly underWay = new ExportLimiter();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly log: LogLines,
    private readonly proofs: LogProofs,
    private readonly audit: AuditService,
    private readonly access: AccessService,
  ) {}

  /**
   * Opens an export, and records it before the first line is sent.
   *
   * @throws Problem rate-limited
   */
  async open(context: AuthorizedContext, filter: { from?: string; to?: string }): Promise<Readable> {
    const end = this.underWay.begin(context.caller.spiffeId);
    try {
      return (await this.read(context, filter)).once('close', end);
    } catch (error) {
      end();
      throw error;
    }
  }

  private async read(context: AuthorizedContext, filter: { from?: string; to?: string }): Promise<Readable> {
    const { size, note } = await this.proofs.getCheckpoint();
    const range = await this.resolveRange(filter, size);
    const facts = { filter, leaves: range, tree_size: size };
    await this.audit.record(context, { type: 'audit.export', outcome: 'success', facts });
    const lines = this.log.formatRange(range, { size, note }, context.relyingParties);
    const isAuthorized = (): Promise<boolean> => this.access.isStillAllowed(context, 'audit:export');
    return reauthorizeStream(lines, isAuthorized);
  }

  /**
   * Resolves the bounds to leaves. A range of time covers every event of that time, and perhaps others between them in
   * the log. `OFFSET 0` makes PostgreSQL read the few events near a time, instead of scanning all leaves in order until
   * it finds one of them.
   */
  private async resolveRange({ from, to }: { from?: string; to?: string }, size: number): Promise<LeafRange> {
    const end =
      to === undefined ? size : Math.min(size, isLeafIndex(to) ? Number(to) : await this.findEnd(Date.parse(to)));
    const begin =
      from === undefined ? 0 : isLeafIndex(from) ? Number(from) : await this.findBegin(Date.parse(from), size);
    return { from: Math.min(begin, end), to: end };
  }

  private async findBegin(time: number, size: number): Promise<number> {
    const [row] = await this.dataSource.query<{ first: number | null }[]>(
      `SELECT min(leaf_index) AS first FROM (
         SELECT leaf_index FROM audit_leaf
          WHERE event_id >= $1 AND event_id < coalesce(
            (SELECT event_id FROM audit_leaf WHERE event_id >= $2 ORDER BY event_id LIMIT 1 OFFSET 1),
            'ffffffff-ffff-ffff-ffff-ffffffffffff')
         OFFSET 0) AS near`,
      [toFirstId(time), toFirstId(time + DISORDER_MS)],
    );
    return row?.first ?? size;
  }

  private async findEnd(time: number): Promise<number> {
    const [row] = await this.dataSource.query<{ last: number | null }[]>(
      `SELECT max(leaf_index) AS last FROM (
         SELECT leaf_index FROM audit_leaf
          WHERE event_id < $1 AND event_id >= coalesce(
            (SELECT event_id FROM audit_leaf WHERE event_id < $2 ORDER BY event_id DESC LIMIT 1),
            '00000000-0000-0000-0000-000000000000')
         OFFSET 0) AS near`,
      [toFirstId(time), toFirstId(time - DISORDER_MS)],
    );
    return row?.last === undefined || row.last === null ? 0 : row.last + 1;
  }
}
