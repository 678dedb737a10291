import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { OpenExports } from '../access/open-exports.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { AuditService } from '../audit/audit.service.js';
import { isLeafIndex } from './dto/transparency-log.query.js';
import { LogLines } from './log-lines.js';
import { type LeafRange, LogRepository } from './log.repository.js';
import { LogProofs } from './log-proofs.js';

/** Exports the log to auditors, by time or by leaf index. */
@Injectable()
export class LogExport {
  constructor(
    private readonly storage: LogRepository,
    private readonly log: LogLines,
    private readonly proofs: LogProofs,
    private readonly audit: AuditService,
    private readonly exports: OpenExports,
  ) {}

  /**
   * Opens an export, and records it before the first line is sent.
   *
   * @throws Problem rate-limited
   */
  open(context: AuthorizedContext, filter: { from?: string; to?: string }): Promise<Readable> {
    return this.exports.begin(context, { permission: 'audit:export' }, async () => {
      const { size, note } = await this.proofs.getCheckpoint();
      const range = await this.resolveRange(filter, size);
      const facts = { filter, leaves: range, tree_size: size };
      await this.audit.record(context, { type: 'audit.export', outcome: 'success', facts });
      return this.log.formatRange(range, { size, note }, context.relyingParties);
    });
  }

  /**
   * Resolves the bounds to leaves. A range of time covers every event of that time, and perhaps others between them in
   * the log.
   */
  private async resolveRange({ from, to }: { from?: string; to?: string }, size: number): Promise<LeafRange> {
    const end =
      to === undefined
        ? size
        : Math.min(size, isLeafIndex(to) ? Number(to) : await this.storage.findEnd(Date.parse(to)));
    const begin =
      from === undefined ? 0 : isLeafIndex(from) ? Number(from) : await this.storage.findBegin(Date.parse(from), size);
    return { from: Math.min(begin, end), to: end };
  }
}
