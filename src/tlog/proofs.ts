import { EMPTY_ROOT } from './merkle-hash.js';
import { type HashReader, SubtreeReader } from './stored-hashes.js';
import { foldRight, perfectSubtrees } from './subtrees.js';

/** The hashes of the perfect subtrees that cover [0, from) and [to, size), each left to right. */
export interface RangeProof {
  readonly left: readonly Buffer[];
  readonly right: readonly Buffer[];
}

/** The leaves [begin, end) of a subtree. */
type Leaves = readonly [begin: number, end: number];

/** RFC 6962 §2.1: the root of the first `size` leaves. */
export async function rootAt(reader: HashReader, size: number): Promise<Buffer> {
  demandOrder([0, size]);
  return size === 0 ? EMPTY_ROOT : subtreeHash(new SubtreeReader(reader, size), [0, size]);
}

/** RFC 6962 §2.1.1: the hashes beside the path from the leaf to the root. */
export async function inclusionProof(reader: HashReader, index: number, size: number): Promise<Buffer[]> {
  demandOrder([0, index, size - 1]);
  return subtreeHashes(reader, size, inclusionPath(index, [0, size]));
}

/** RFC 6962 §2.1.2. The proof is empty when `from` is 0 or `to`. */
export async function consistencyProof(reader: HashReader, from: number, to: number): Promise<Buffer[]> {
  demandOrder([0, from, to]);
  return from === 0 ? [] : subtreeHashes(reader, to, consistencyPath(from, [0, to], true));
}

export async function rangeProof(reader: HashReader, from: number, to: number, size: number): Promise<RangeProof> {
  demandOrder([0, from, to, size]);
  const hashes = new SubtreeReader(reader, size);
  const covering = async ([begin, end]: Leaves): Promise<Buffer[]> => {
    const covered: Buffer[] = [];
    for (const subtree of perfectSubtrees(begin, end)) covered.push(await hashes.hashOf(subtree));
    return covered;
  };
  return { left: await covering([0, from]), right: await covering([to, size]) };
}

/** RFC 6962 §2.1.1: PATH(m, D[n]). */
function inclusionPath(index: number, [begin, end]: Leaves): Leaves[] {
  if (end - begin === 1) return [];
  const middle = begin + splitOf(end - begin);
  return index < middle
    ? [...inclusionPath(index, [begin, middle]), [middle, end]]
    : [...inclusionPath(index, [middle, end]), [begin, middle]];
}

/** RFC 6962 §2.1.2: SUBPROOF(m, D[n], b). */
function consistencyPath(from: number, [begin, end]: Leaves, known: boolean): Leaves[] {
  if (from === end) return known ? [] : [[begin, end]];
  const middle = begin + splitOf(end - begin);
  return from <= middle
    ? [...consistencyPath(from, [begin, middle], known), [middle, end]]
    : [...consistencyPath(from, [middle, end], false), [begin, middle]];
}

/** The largest power of two that is smaller than `count`. */
function splitOf(count: number): number {
  let power = 1;
  while (2 * power < count) power *= 2;
  return power;
}

async function subtreeHashes(reader: HashReader, size: number, path: readonly Leaves[]): Promise<Buffer[]> {
  const subtrees = new SubtreeReader(reader, size);
  const hashes: Buffer[] = [];
  for (const leaves of path) hashes.push(await subtreeHash(subtrees, leaves));
  return hashes;
}

async function subtreeHash(subtrees: SubtreeReader, [begin, end]: Leaves): Promise<Buffer> {
  const hashes: Buffer[] = [];
  for (const subtree of perfectSubtrees(begin, end)) hashes.push(await subtrees.hashOf(subtree));
  return foldRight(hashes);
}

function demandOrder(numbers: readonly number[]): void {
  const ordered = numbers.every((number, i) => Number.isSafeInteger(number) && number >= (numbers[i - 1] ?? 0));
  if (!ordered) throw new RangeError(`${numbers.join(', ')} are not sizes of a log in ascending order`);
}
