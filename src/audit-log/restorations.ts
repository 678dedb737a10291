import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { typeEqualsSql } from '../audit/audit-event.repository.js';
import { AuditService } from '../audit/audit.service.js';
import { makeConsistencyProof, verifyConsistency } from '../tlog/proofs.js';
import type { AuditCheckpointEntity } from './log.entities.js';
import { formatKnown, type KnownCheckpoint, LogMemory } from './log-memory.js';
import { LogRepository } from './log.repository.js';

/** Only events with a place count: somebody else may have inserted others. */
const FIND_ALL = `SELECT event FROM audit_event JOIN audit_leaf ON event_id = id WHERE ${typeEqualsSql('type', `'audit.restore'`)}`;

/**
 * Records that the log continues an older state of itself: it gave up the leaves of a checkpoint that the operator names
 * as lost. The log itself says so once, in the first batch that follows.
 */
@Injectable()
export class Restorations {
  constructor(
    private readonly memory: LogMemory,
    private readonly storage: LogRepository,
    private readonly audit: AuditService,
  ) {}

  /** @param manager the transaction that has the turn, so that two replicas do not record the same */
  async recordOnce(manager: EntityManager, last: AuditCheckpointEntity | undefined): Promise<void> {
    const lost = this.memory.lost.toSorted((one, other) => one.size - other.size).at(-1);
    if (!lost || (await this.contains(manager, last, lost))) return;
    const lostCheckpoint = formatKnown(lost);
    const recorded = await manager.query<{ event: string }[]>(FIND_ALL);
    if (recorded.some(({ event }) => readLost(event) === lostCheckpoint)) return;
    const facts = { lost_checkpoint: lostCheckpoint, continued_checkpoint: last ? formatKnown(last) : null };
    const detail = `The log was restored to ${String(last?.size ?? 0)} leaves and continues from there. It had ${String(lost.size)}.`;
    await this.audit.record(null, { type: 'audit.restore', outcome: 'success', detail, facts }, manager);
  }

  private async contains(
    manager: EntityManager,
    last: AuditCheckpointEntity | undefined,
    { size: from, root: fromRoot }: KnownCheckpoint,
  ): Promise<boolean> {
    if (!last || last.size < from) return false;
    const proof = await makeConsistencyProof(this.storage.createReader(manager), from, last.size);
    return verifyConsistency({ from, to: last.size, proof, fromRoot, toRoot: last.root });
  }
}

function readLost(event: string): string | undefined {
  const { unmapped } = JSON.parse(event) as { unmapped?: { lost_checkpoint?: string } };
  return unmapped?.lost_checkpoint;
}
