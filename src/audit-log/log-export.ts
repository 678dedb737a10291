import type { Readable } from 'node:stream';
import { Injectable, Logger } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { describeDatabaseError } from '../http/database-unavailable.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { AuditService } from '../audit/audit.service.js';
import { isLeafIndex } from './dto/transparency-log.query.js';
import { LogLines } from './log-lines.js';
import { type LeafRange, LogRepository } from './log.repository.js';
import { LogProofs } from './log-proofs.js';
import { reauthorizeStream } from './reauthorize-stream.js';
import { Problem } from '../http/problem.js';

/** Exports the log to auditors, by time or by leaf index. */
@Injectable()
export class LogExport {
  private readonly logger = new Logger(LogExport.name);
  private readonly underWay = new ExportLimiter();

  constructor(
    private readonly storage: LogRepository,
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
      const stream = await this.read(context, filter);
      // The answer has begun, so it breaks off, and no filter sees the error.
      return stream.once('close', end).once('error', (error) => {
        if (!(error instanceof Problem)) this.reportBreak(context, error);
      });
    } catch (error) {
      end();
      throw error;
    }
  }

  private reportBreak({ requestId }: AuthorizedContext, error: Error): void {
    this.logger.error({ message: 'an export broke off', requestId, ...describeDatabaseError(error), error });
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

/**
 * Maximum number of open exports per identity. An open export holds a page of the log in memory and queries the
 * database for the next one until it is read.
 */
const MAX_OPEN = 2;

/** Limits the exports that each identity has open in this process. */
class ExportLimiter {
  private readonly open = new Map<string, number>();

  /**
   * Counts a new export of an identity.
   *
   * @returns a function that ends the export
   * @throws Problem rate-limited
   */
  begin(identity: string): () => void {
    const open = this.open.get(identity) ?? 0;
    if (open >= MAX_OPEN) {
      const detail = `the caller already has ${String(open)} open exports; the limit is ${String(MAX_OPEN)}`;
      throw new Problem('rate-limited', { retryAfter: 10, detail });
    }
    this.open.set(identity, open + 1);
    return () => {
      const left = this.open.get(identity)! - 1;
      if (left > 0) this.open.set(identity, left);
      else this.open.delete(identity);
    };
  }
}
