import { foldRight, HASH_BYTES, type Subtree } from './merkle.js';

/**
 * The log stores the hashes of level 0, the leaves, and of every eighth level above, each when its subtree is complete:
 * 1 + 1/256 + 1/65,536 + … hashes per leaf. A reader computes a hash between these levels from one tile: the up to 256
 * stored hashes under one stored hash, as in C2SP tlog-tiles. A proof in a log of 16 million leaves reads six tiles.
 */
export const TILE_HEIGHT = 8;
const TILE_WIDTH = 2 ** TILE_HEIGHT;

export const isStoredLevel = (level: number): boolean => level % TILE_HEIGHT === 0;

export interface HashReader {
  /** The hashes [fromIndex, fromIndex + count) of a stored level, in order. */
  read(level: number, fromIndex: number, count: number): Promise<readonly Uint8Array[]>;
}

/** Computes the hashes of perfect subtrees of a tree of `size` leaves. It reads each tile at most once. */
export class SubtreeReader {
  readonly #reader: HashReader;
  readonly #size: number;
  readonly #tiles = new Map<string, readonly Uint8Array[]>();

  constructor(reader: HashReader, size: number) {
    this.#reader = reader;
    this.#size = size;
  }

  async readHash({ level, index }: Subtree): Promise<Buffer> {
    const stored = level - (level % TILE_HEIGHT);
    const width = 2 ** (level - stored);
    const first = index * width;
    const tile = await this.#readTile(stored, Math.floor(first / TILE_WIDTH));
    const hashes = tile.slice(first % TILE_WIDTH, (first % TILE_WIDTH) + width);
    return foldPerfect(hashes);
  }

  async #readTile(level: number, tileIndex: number): Promise<readonly Uint8Array[]> {
    const key = `${String(level)}/${String(tileIndex)}`;
    const kept = this.#tiles.get(key);
    if (kept) return kept;
    const from = tileIndex * TILE_WIDTH;
    const count = Math.min(TILE_WIDTH, Math.floor(this.#size / 2 ** level) - from);
    const hashes = await this.#reader.read(level, from, count);
    if (hashes.length !== count || hashes.some((hash) => hash.length !== HASH_BYTES)) {
      throw new RangeError(`the stored hashes of level ${String(level)} are not whole from ${String(from)}`);
    }
    this.#tiles.set(key, hashes);
    return hashes;
  }
}

function foldPerfect(hashes: readonly Uint8Array[]): Buffer {
  if (hashes.length === 1) return Buffer.from(hashes[0]!);
  const half = hashes.length / 2;
  return foldRight([foldPerfect(hashes.slice(0, half)), foldPerfect(hashes.slice(half))]);
}
