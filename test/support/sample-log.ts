import { generateKeyPairSync } from 'node:crypto';
import { demandCanonical } from '../../src/tlog/canonical-json.js';
import { CompactRange, hashLeaf } from '../../src/tlog/merkle.js';
import { formatErased, formatEvent, formatProof } from '../../src/tlog/export-lines.js';
import { type LogSigner, readLogSigners } from '../../src/tlog/keys.js';
import { makeRangeProof, readRoot } from '../../src/tlog/proofs.js';
import { signCheckpoint } from '../../src/tlog/checkpoint.js';
import { type HashReader, TILE_HEIGHT } from '../../src/tlog/tiles.js';

/** A log for tests, with one event per second. Tests alter its rows as the owner of a database could. */
export class SampleLog {
  static readonly ORIGIN = 'passkey-manager/test';
  static readonly START = Date.UTC(2026, 0, 1);
  static readonly SIGNERS: readonly LogSigner[] = makeLogSigners(SampleLog.ORIGIN);

  /** The rows; null for a deleted one. */
  readonly events: (string | null)[];
  readonly leaves: Buffer[];
  /** The stored hashes of level 8. */
  readonly subtrees: Buffer[] = [];

  /** @param events the number of events, or the events as RFC 8785 JSON */
  constructor(events: number | readonly string[]) {
    this.events =
      typeof events === 'number'
        ? Array.from({ length: events }, (_, index) =>
            demandCanonical({
              time: SampleLog.computeTime(index),
              metadata: { uid: makeEventId(index) },
              user: { uid: 'é😀' },
            }),
          )
        : [...events];
    this.leaves = this.events.map((event) => hashLeaf(event!));
    const range = new CompactRange();
    for (const leaf of this.leaves) {
      range.append(leaf, (level, _, hash) => level === TILE_HEIGHT && this.subtrees.push(hash));
    }
  }

  static computeTime(index: number): number {
    return SampleLog.START + index * 1000;
  }

  readonly reader: HashReader = {
    read: (level, from, count) =>
      Promise.resolve((level === 0 ? this.leaves : this.subtrees).slice(from, from + count)),
  };

  async makeCheckpoint(
    size: number,
    time = new Date(SampleLog.computeTime(size)),
    signers = SampleLog.SIGNERS,
  ): Promise<string> {
    const root = await readRoot(this.reader, size);
    return signCheckpoint({ origin: SampleLog.ORIGIN, size, root, extensions: [] }, signers, time);
  }

  /** Returns the export as the API does. With `bare`, the lines have only their required members. */
  async export(from: number, to: number, checkpoint: string, size: number, bare = false): Promise<string[]> {
    const lines = this.events.slice(from, to).map((event, offset) => {
      const index = from + offset;
      const hash = this.leaves[index]!;
      const subtree = (index + 1) % 256 === 0 && index - 255 >= from ? this.subtrees[(index + 1) / 256 - 1] : undefined;
      if (event !== null) return formatEvent(index, event, bare ? undefined : { leafHash: hash, subtree });
      return bare
        ? formatErased(index, { leafHash: hash })
        : formatErased(index, { leafHash: hash, subtree }, makeEventId(index));
    });
    const proof = await makeRangeProof(this.reader, from, to, size);
    return [...lines, formatProof({ treeSize: size, from, to, ...proof, checkpoint })];
  }
}

/** Makes a new Ed25519 key and a new ML-DSA-44 key. */
export function makeLogSigners(origin: string): LogSigner[] {
  return readLogSigners(makeKeyFile(), origin);
}

export function makeKeyFile(): string {
  const [one, other] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ml-dsa-44').privateKey];
  return [one, other].map((key) => key.export({ type: 'pkcs8', format: 'pem' })).join('');
}

/** Makes a UUIDv7 from the event's time. */
function makeEventId(index: number): string {
  const time = SampleLog.computeTime(index).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${index.toString(16).padStart(12, '0')}`;
}
