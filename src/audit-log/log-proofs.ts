import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import { createMalformedProblem, Problem } from '../http/problem.js';
import type { AuditCheckpointEntity } from './log.entities.js';
import { type ConsistencyDocument, toConsistencyDocument } from '../tlog/proof-documents.js';
import { makeConsistencyProof, makeInclusionProof } from '../tlog/proofs.js';
import { LOG_KEYS, type LogKeys } from './log-keys.js';
import { LogFault } from './trusted-log.js';
import { LogRepository } from './log.repository.js';
import { Sequencer } from './sequencer.js';

/** Proof that a leaf is in the tree that the checkpoint signs (RFC 6962 §2.1.1). Hashes are base64url. */
export interface InclusionDocument {
  readonly leafIndex: number;
  readonly leafHash: string;
  readonly treeSize: number;
  readonly proof: readonly string[];
  readonly checkpoint: string;
}

const ATTEMPTS = 20;
const PAUSE_MS = 100;
const WITHOUT_PLACE =
  'the event has no place in the log and gets none, because nothing shows that the service wrote it (event-unsealed)';

/** Builds proofs from stored hashes. In a log of 16 million events a proof needs six tiles of 256 hashes. */
@Injectable()
export class LogProofs {
  constructor(
    private readonly storage: LogRepository,
    private readonly sequencer: Sequencer,
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
  ) {}

  get verifierKeys(): string {
    return this.keys.verifierKeys;
  }

  /**
   * Returns the latest checkpoint. It makes the first one if nothing was sequenced yet.
   *
   * @throws Problem unavailable
   */
  async getCheckpoint(): Promise<AuditCheckpointEntity> {
    return this.readOnceSequenced(() => this.storage.findLatestCheckpoint(), 'the log has no checkpoint yet');
  }

  /** @throws Problem unavailable if the event is not sequenced yet, event-unknown if it never will be */
  async proveInclusion(eventId: string): Promise<InclusionDocument> {
    const leafIndex = await this.readOnceSequenced(() => this.findPlace(eventId), 'the event is not sequenced yet');
    const { size, note } = await this.getCheckpoint();
    const [leafHash] = await this.storage.read(0, leafIndex, 1);
    const proof = await makeInclusionProof(this.storage, leafIndex, size);
    return {
      leafIndex,
      leafHash: toBase64url(leafHash!),
      treeSize: size,
      proof: proof.map(toBase64url),
      checkpoint: note,
    };
  }

  /** @throws Problem request-malformed */
  async proveConsistency(from: number, to: number): Promise<ConsistencyDocument> {
    const { size } = await this.getCheckpoint();
    if (from > to || to > size) {
      const detail = `must be from ${from > to ? '0 to the other size' : `0 to ${String(size)}`}`;
      throw createMalformedProblem(detail, from > to ? '/from' : '/to');
    }
    return toConsistencyDocument(from, to, await makeConsistencyProof(this.storage, from, to));
  }

  /**
   * Returns the leaf index of an event, or undefined while it is pending.
   *
   * @throws Problem event-unknown
   */
  private async findPlace(eventId: string): Promise<number | undefined> {
    const { leafIndex, isPending } = await this.storage.findPlace(eventId);
    if (leafIndex === null && !isPending) throw new Problem('event-unknown', { detail: WITHOUT_PLACE });
    return leafIndex ?? undefined;
  }

  /** Repeats a read, and sequences pending events in between, for two seconds at most. */
  private async readOnceSequenced<T>(read: () => Promise<T | undefined>, missing: string): Promise<T> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const found = await read();
      if (found !== undefined) return found;
      if (attempt > 0) await sleep(PAUSE_MS);
      await this.sequencer.sequence(true).catch(ignoreFault);
    }
    throw new Problem('unavailable', { retryAfter: 1, detail: missing });
  }
}

/** Ignores a LogFault: a log that must not be continued can still be read. */
function ignoreFault(error: unknown): void {
  if (!(error instanceof LogFault)) throw error;
}

const toBase64url = (hash: Buffer): string => hash.toString('base64url');
