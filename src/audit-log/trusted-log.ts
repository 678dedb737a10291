import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import type { AuditCheckpointEntity } from './log.entities.js';
import { CompactRange } from '../tlog/merkle.js';
import { NoteError } from '../tlog/signed-note.js';
import { makeConsistencyProof, verifyConsistency } from '../tlog/proofs.js';
import { openCheckpoint } from '../tlog/checkpoint.js';
import { describeForeign, LOG_KEYS, type LogKeys, selectKeys } from './log-keys.js';
import { formatKnown, type KnownCheckpoint, LogMemory } from './log-memory.js';
import { type LastLeaf, LogRepository } from './log.repository.js';

/**
 * `log-altered`: the stored log is not what was signed, or not signed by us. `log-truncated`: it has fewer leaves than
 * it had or than were signed.
 */
export type LogFaultKind = 'log-altered' | 'log-truncated';

/** The stored log is not the one that was signed. It must not be continued, because that would sign a fork. */
export class LogFault extends Error {
  override readonly name = 'LogFault';

  constructor(
    readonly kind: LogFaultKind,
    reason: string,
  ) {
    super(reason);
  }
}

/**
 * Decides if the newest checkpoint in the database may be continued. It must
 *
 * 1. continue the newest checkpoint that this process has seen, by a consistency proof (RFC 9162). A log that was cut
 *    and has grown again has no such proof. If both are of the same size, they must be identical. Before the process has
 *    seen one, the last checkpoint of the anchor file takes its place (log-memory.ts);
 * 2. be signed by each of our keys. After a change of keys, a note of the former keys is accepted if the key file holds
 *    them and a former key of each algorithm has signed it, so that removing a signature does not help;
 * 3. have our origin, and the size and the root that are stored beside the note. The stored frontier must have that
 *    root;
 * 4. end with the last leaf, and the leaves must begin with 0. No stored hash may be of leaves beyond it.
 *
 * Without an anchor file a process forgets what it has seen when it ends. Then only the checkpoints that are kept elsewhere
 * reveal an older database (src/tlog/checkpoint-trail.ts).
 */
@Injectable()
export class TrustedLog {
  private newest: AuditCheckpointEntity | KnownCheckpoint | undefined;

  constructor(
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    private readonly storage: LogRepository,
    readonly memory: LogMemory,
  ) {
    this.newest = memory.anchored;
  }

  /** Returns the newest checkpoint, or undefined if nothing was sequenced yet. @throws LogFault */
  async readLatest(through?: DataSource | EntityManager): Promise<AuditCheckpointEntity | undefined> {
    // This is read first: a checkpoint that is remembered while the database answers may be newer than its answer.
    const known = this.newest;
    const { checkpoint, lastLeaf, hasHashBeyond } = await this.storage.readHead(through);
    demandNotShrunk(known, checkpoint);
    demandLastLeaf(checkpoint, lastLeaf);
    demand(!hasHashBeyond, 'a stored hash is of leaves that are not in the log');
    if (checkpoint && !(known && isSeen(known) && known.size === checkpoint.size)) {
      this.demandSigned(checkpoint);
      if (known) await this.demandConsistent(known, checkpoint, through);
    }
    this.remember(checkpoint);
    return checkpoint;
  }

  /** Remembers a checkpoint that is committed. */
  remember(checkpoint: AuditCheckpointEntity | undefined): void {
    if (checkpoint && checkpoint.size >= (this.newest?.size ?? 0)) this.newest = checkpoint;
  }

  private demandSigned({ note, size, root, frontier, createdAt }: AuditCheckpointEntity): void {
    // SQL may have set `infinity`, which `pg` reads as a number.
    const hasTime = (createdAt as unknown) instanceof Date && !Number.isNaN(createdAt.getTime());
    demand(hasTime, `the checkpoint of ${String(size)} leaves has no time`);
    const foreign = describeForeign(this.keys, note);
    if (foreign !== undefined) throw new LogFault('log-altered', foreign);
    try {
      const signed = openCheckpoint(note, selectKeys(this.keys, note).keys);
      demand(signed.size === size, `the checkpoint of ${String(size)} leaves was signed for ${String(signed.size)}`);
      demand(signed.root.equals(root), `the root at ${String(size)} leaves is not the signed one`);
      const stored = CompactRange.parse(0, size, frontier).computeRoot();
      demand(stored.equals(root), `the frontier at ${String(size)} leaves has another root`);
    } catch (error) {
      if (!(error instanceof NoteError || error instanceof RangeError)) throw error;
      throw new LogFault('log-altered', `the checkpoint of ${String(size)} leaves: ${error.message}`);
    }
  }

  private async demandConsistent(
    known: KnownCheckpoint,
    latest: AuditCheckpointEntity,
    through?: DataSource | EntityManager,
  ): Promise<void> {
    const reader = through ? this.storage.createReader(through) : this.storage;
    const [from, to] = [known.size, latest.size];
    const proof = await makeConsistencyProof(reader, from, to).catch(throwAsFault);
    if (verifyConsistency({ from, to, proof, fromRoot: known.root, toRoot: latest.root })) return;
    throw new LogFault(
      'log-truncated',
      `the log of ${String(to)} leaves does not continue the earlier log of ${String(from)} leaves${describe(known)}`,
    );
  }
}

function demandNotShrunk(known: KnownCheckpoint | undefined, latest: AuditCheckpointEntity | undefined): void {
  if (!known) return;
  const [then, now] = [known.size, latest?.size ?? 0];
  const reason = `the log had ${String(then)} leaves and now has ${String(now)}${describe(known)}`;
  if (now < then) throw new LogFault('log-truncated', reason);
  if (!isSeen(known)) return;
  const same = now > then || (latest !== undefined && isDeepStrictEqual(listColumns(known), listColumns(latest)));
  demand(same, `the checkpoint of ${String(now)} leaves was replaced`);
}

/** True for a checkpoint of the database, false for one that only the anchor file has. */
function isSeen(known: KnownCheckpoint): known is AuditCheckpointEntity {
  return 'note' in known;
}

/** Names an anchored checkpoint as the operator must name it to give it up. */
function describe(known: KnownCheckpoint): string {
  return isSeen(known) ? '' : `: the anchor file ends with the checkpoint "${formatKnown(known)}"`;
}

function listColumns({ size, root, frontier, lastId, note, createdAt }: AuditCheckpointEntity): unknown[] {
  return [size, root, frontier, lastId, note, createdAt];
}

/** Turns the error for missing stored hashes into a LogFault. */
function throwAsFault(error: unknown): never {
  throw error instanceof RangeError ? new LogFault('log-altered', error.message) : error;
}

function demandLastLeaf(checkpoint: AuditCheckpointEntity | undefined, leaf: LastLeaf | undefined): void {
  const [size, leaves] = [checkpoint?.size ?? 0, leaf ? leaf.leafIndex + 1 : 0];
  const told = `${String(leaves)} leaves are stored, and ${String(size)} were signed`;
  if (leaves !== size) throw new LogFault(leaves < size || size === 0 ? 'log-truncated' : 'log-altered', told);
  demand((leaf?.firstIndex ?? 0) === 0, `the log begins with leaf ${String(leaf?.firstIndex)}`);
  demand(leaf?.eventId === checkpoint?.lastId, `the last leaf belongs to another event than the checkpoint says`);
}

function demand(holds: boolean, reason: string): asserts holds {
  if (!holds) throw new LogFault('log-altered', reason);
}
