import { EMPTY_ROOT } from './merkle-hash.js';
import { type HashReader, SubtreeReader } from './stored-hashes.js';
import { foldRight, listPerfectSubtrees } from './subtrees.js';

/** The hashes of the perfect subtrees that cover [0, from) and [to, size), each left to right. */
export interface RangeProof {
  readonly left: readonly Buffer[];
  readonly right: readonly Buffer[];
}

/** The leaves [begin, end) of a subtree. */
type Leaves = readonly [begin: number, end: number];

/** RFC 6962 §2.1: the root of the first `size` leaves. */
export async function readRoot(reader: HashReader, size: number): Promise<Buffer> {
  demandOrder([0, size]);
  return size === 0 ? EMPTY_ROOT : readSubtreeHash(new SubtreeReader(reader, size), [0, size]);
}

/** RFC 6962 §2.1.1: the hashes beside the path from the leaf to the root. */
export async function makeInclusionProof(reader: HashReader, index: number, size: number): Promise<Buffer[]> {
  demandOrder([0, index, size - 1]);
  return readSubtreeHashes(reader, size, listInclusionPath(index, [0, size]));
}

/** RFC 6962 §2.1.2. The proof is empty when `from` is 0 or `to`. */
export async function makeConsistencyProof(reader: HashReader, from: number, to: number): Promise<Buffer[]> {
  demandOrder([0, from, to]);
  return from === 0 ? [] : readSubtreeHashes(reader, to, listConsistencyPath(from, [0, to], true));
}

export async function makeRangeProof(reader: HashReader, from: number, to: number, size: number): Promise<RangeProof> {
  demandOrder([0, from, to, size]);
  const hashes = new SubtreeReader(reader, size);
  const readCovering = async ([begin, end]: Leaves): Promise<Buffer[]> => {
    const covered: Buffer[] = [];
    for (const subtree of listPerfectSubtrees(begin, end)) covered.push(await hashes.readHash(subtree));
    return covered;
  };
  return { left: await readCovering([0, from]), right: await readCovering([to, size]) };
}

/** RFC 6962 §2.1.1: PATH(m, D[n]). */
function listInclusionPath(index: number, [begin, end]: Leaves): Leaves[] {
  if (end - begin === 1) return [];
  const middle = begin + findSplit(end - begin);
  return index < middle
    ? [...listInclusionPath(index, [begin, middle]), [middle, end]]
    : [...listInclusionPath(index, [middle, end]), [begin, middle]];
}

/** RFC 6962 §2.1.2: SUBPROOF(m, D[n], b). */
function listConsistencyPath(from: number, [begin, end]: Leaves, known: boolean): Leaves[] {
  if (from === end) return known ? [] : [[begin, end]];
  const middle = begin + findSplit(end - begin);
  return from <= middle
    ? [...listConsistencyPath(from, [begin, middle], known), [middle, end]]
    : [...listConsistencyPath(from, [middle, end], false), [begin, middle]];
}

/** The largest power of two that is smaller than `count`. */
function findSplit(count: number): number {
  let power = 1;
  while (2 * power < count) power *= 2;
  return power;
}

async function readSubtreeHashes(reader: HashReader, size: number, path: readonly Leaves[]): Promise<Buffer[]> {
  const subtrees = new SubtreeReader(reader, size);
  const hashes: Buffer[] = [];
  for (const leaves of path) hashes.push(await readSubtreeHash(subtrees, leaves));
  return hashes;
}

async function readSubtreeHash(subtrees: SubtreeReader, [begin, end]: Leaves): Promise<Buffer> {
  const hashes: Buffer[] = [];
  for (const subtree of listPerfectSubtrees(begin, end)) hashes.push(await subtrees.readHash(subtree));
  return foldRight(hashes);
}

function demandOrder(numbers: readonly number[]): void {
  const ordered = numbers.every((number, i) => Number.isSafeInteger(number) && number >= (numbers[i - 1] ?? 0));
  if (!ordered) throw new RangeError(`${numbers.join(', ')} are not sizes of a log in ascending order`);
}
