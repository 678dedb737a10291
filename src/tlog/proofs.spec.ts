import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CompactRange, EMPTY_ROOT, hashLeaf } from './merkle.js';
import {
  computeRangeRoot,
  isSameHash,
  makeConsistencyProof,
  makeInclusionProof,
  makeRangeProof,
  readRoot,
  verifyConsistency,
  verifyInclusion,
} from './proofs.js';
import type { HashReader } from './tiles.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const LEAVES = Array.from({ length: 5000 }, (_, index) => hashLeaf(String(index)));
const LEVEL_8 = Array.from({ length: 19 }, (_, index) => {
  const subtree = new CompactRange();
  for (const hash of LEAVES.slice(index * 256, (index + 1) * 256)) subtree.append(hash);
  return subtree.computeRoot();
});
const LOG: HashReader = {
  read: (level, from, count) => Promise.resolve((level === 0 ? LEAVES : LEVEL_8).slice(from, from + count)),
};
const ROOTS = await Promise.all(Array.from({ length: 301 }, (_, size) => readRoot(LOG, size)));

/** Every way to spoil a list of hashes in one step, at a place that the seeds choose. */
function* spoil(proof: readonly Buffer[], seed: number): Generator<[string, Buffer[]]> {
  yield ['one more at the end', [...proof, EMPTY_ROOT]];
  yield ['one more at the start', [EMPTY_ROOT, ...proof]];
  yield ['the last one twice', [...proof, ...proof.slice(-1), ...(proof.length === 0 ? [EMPTY_ROOT] : [])]];
  for (const [at, hash] of proof.entries()) {
    const bit = (seed + at * 37) % 256;
    const flipped = Buffer.from(hash);
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    yield [`a bit of number ${String(at)}`, proof.with(at, flipped)];
    yield [`without number ${String(at)}`, proof.toSpliced(at, 1)];
    yield [`number ${String(at)} cut short`, proof.with(at, hash.subarray(1))];
    if (at > 0)
      yield [`numbers ${String(at)} and the one before exchanged`, proof.with(at, proof[at - 1]!).with(at - 1, hash)];
  }
}

describe('RFC 9162 §2.1.3.2: verifying an inclusion proof', () => {
  const known = {
    index: 5,
    size: 8,
    leafHash: hex('4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658'),
    proof: [
      hex('bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b'),
      hex('ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0'),
      hex('d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'),
    ],
    root: hex('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'),
  };

  it('accepts a known proof', () => {
    expect(verifyInclusion(known)).toBe(true);
  });

  it.each([
    ['another index', { index: 4 }],
    ['an index beyond the tree', { index: 8 }],
    ['a negative index', { index: -1 }],
    ['half an index', { index: 4.5 }],
    ['another size', { size: 9 }],
    ['half the tree', { size: 4, index: 1 }],
    ['another leaf', { leafHash: EMPTY_ROOT }],
    ['a leaf that is not a hash', { leafHash: Buffer.alloc(0) }],
    ['another root', { root: EMPTY_ROOT }],
    ['a root that is not a hash', { root: Buffer.alloc(0) }],
    ['no proof', { proof: [] }],
  ])('refuses %s', (_, change) => {
    expect(verifyInclusion({ ...known, ...change })).toBe(false);
  });

  it('accepts the proof of every leaf of every tree up to 300, and no other leaf or size with it', async () => {
    for (let size = 1; size <= 300; size++) {
      for (let index = size % 5; index < size; index += size > 60 ? 43 : 5) {
        const proof = await makeInclusionProof(LOG, index, size);
        const whole = { index, size, proof, leafHash: LEAVES[index]!, root: ROOTS[size]! };
        expect(verifyInclusion(whole)).toBe(true);
        expect(verifyInclusion({ ...whole, index: index + 1 })).toBe(false);
        expect(verifyInclusion({ ...whole, leafHash: LEAVES[index + 1]! })).toBe(false);
        expect(verifyInclusion({ ...whole, root: ROOTS[size - 1]! })).toBe(false);
      }
    }
  });

  it('refuses every spoilt proof', async () => {
    const trees = fc.tuple(fc.integer({ min: 1, max: 4800 }), fc.nat(), fc.nat());
    await fc.assert(
      fc.asyncProperty(trees, async ([size, leaf, seed]) => {
        const index = leaf % size;
        const proof = await makeInclusionProof(LOG, index, size);
        const whole = { index, size, proof, leafHash: LEAVES[index]!, root: await readRoot(LOG, size) };
        expect(verifyInclusion(whole)).toBe(true);
        const accepted = [...spoil(proof, seed)].filter(([, other]) => verifyInclusion({ ...whole, proof: other }));
        expect(accepted.map(([what]) => what)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('RFC 9162 §2.1.4.2: verifying a consistency proof', () => {
  const known = {
    from: 6,
    to: 8,
    proof: [
      hex('0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a'),
      hex('ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0'),
      hex('d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7'),
    ],
    fromRoot: hex('76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef'),
    toRoot: hex('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328'),
  };

  it('accepts a known proof', () => {
    expect(verifyConsistency(known)).toBe(true);
  });

  it.each([
    ['another older size', { from: 5 }],
    ['another newer size', { to: 9 }],
    ['a smaller newer size', { from: 8, to: 6 }],
    ['another older root', { fromRoot: EMPTY_ROOT }],
    ['another newer root', { toRoot: EMPTY_ROOT }],
    ['roots exchanged', { fromRoot: known.toRoot, toRoot: known.fromRoot }],
    ['no proof', { proof: [] }],
    ['half a size', { from: 5.5 }],
    ['a negative size', { from: -6 }],
  ])('refuses %s', (_, change) => {
    expect(verifyConsistency({ ...known, ...change })).toBe(false);
  });

  it('needs no proof from nothing and to the same tree, and accepts none', () => {
    const [empty, tree] = [ROOTS[0]!, ROOTS[5]!];
    expect(verifyConsistency({ from: 0, to: 5, proof: [], fromRoot: empty, toRoot: tree })).toBe(true);
    expect(verifyConsistency({ from: 0, to: 5, proof: [tree], fromRoot: empty, toRoot: tree })).toBe(false);
    expect(verifyConsistency({ from: 0, to: 5, proof: [], fromRoot: tree, toRoot: tree })).toBe(false);
    expect(verifyConsistency({ from: 5, to: 5, proof: [], fromRoot: tree, toRoot: tree })).toBe(true);
    expect(verifyConsistency({ from: 5, to: 5, proof: [], fromRoot: ROOTS[6]!, toRoot: tree })).toBe(false);
    expect(verifyConsistency({ from: 5, to: 5, proof: [tree], fromRoot: tree, toRoot: tree })).toBe(false);
  });

  it('accepts the proof between all trees up to 40 and some up to 300, and no other sizes with it', async () => {
    for (let to = 1; to <= 300; to++) {
      for (let from = 1 + (to % 3); from < to; from += to > 40 ? 43 : 1) {
        const proof = await makeConsistencyProof(LOG, from, to);
        const whole = { from, to, proof, fromRoot: ROOTS[from]!, toRoot: ROOTS[to]! };
        expect(verifyConsistency(whole)).toBe(true);
        expect(verifyConsistency({ ...whole, fromRoot: ROOTS[from - 1]! })).toBe(false);
        expect(verifyConsistency({ ...whole, toRoot: ROOTS[to - 1]! })).toBe(false);
      }
    }
  });

  it('refuses every spoilt proof', async () => {
    const trees = fc.tuple(fc.integer({ min: 2, max: 4800 }), fc.nat(), fc.nat());
    await fc.assert(
      fc.asyncProperty(trees, async ([to, older, seed]) => {
        const from = 1 + (older % (to - 1));
        const proof = await makeConsistencyProof(LOG, from, to);
        const whole = { from, to, proof, fromRoot: await readRoot(LOG, from), toRoot: await readRoot(LOG, to) };
        expect(verifyConsistency(whole)).toBe(true);
        const accepted = [...spoil(proof, seed)].filter(([, other]) => verifyConsistency({ ...whole, proof: other }));
        expect(accepted.map(([what]) => what)).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('verifying a range', () => {
  const makeRange = (from: number, to: number): CompactRange => {
    const range = new CompactRange(from);
    for (const hash of LEAVES.slice(from, to)) range.append(hash);
    return range;
  };
  const holds = (
    range: CompactRange,
    left: readonly Buffer[],
    right: readonly Buffer[],
    size: number,
    root: Buffer,
  ) => {
    try {
      return isSameHash(computeRangeRoot(range, { left, right }, size), root);
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  };

  it('accepts every range of every tree up to 24', async () => {
    for (let size = 0; size <= 24; size++) {
      for (let from = 0; from <= size; from++) {
        for (let to = from; to <= size; to++) {
          const { left, right } = await makeRangeProof(LOG, from, to, size);
          expect(holds(makeRange(from, to), left, right, size, ROOTS[size]!)).toBe(true);
        }
      }
    }
  });

  it('refuses a spoilt proof, another range and an altered leaf', async () => {
    const ranges = fc.array(fc.nat(4800), { minLength: 3, maxLength: 3 }).map((three) => three.sort((a, b) => a - b));
    await fc.assert(
      fc.asyncProperty(ranges, fc.nat(), async ([from, to, size], seed) => {
        const { left, right } = await makeRangeProof(LOG, from!, to!, size!);
        const root = await readRoot(LOG, size!);
        const range = makeRange(from!, to!);
        expect(holds(range, left, right, size!, root)).toBe(true);
        const accepted = [
          ...[...spoil(left, seed)].filter(([, other]) => holds(range, other, right, size!, root)),
          ...[...spoil(right, seed)].filter(([, other]) => holds(range, left, other, size!, root)),
        ];
        expect(accepted.map(([what]) => what)).toEqual([]);
        expect(holds(range, left, right, to! - 1, root)).toBe(false);
        if (to! > from!) expect(holds(makeRange(from!, to! - 1), left, right, size!, root)).toBe(false);
        const altered = makeRange(from!, to!);
        altered.append(EMPTY_ROOT);
        expect(holds(altered, left, right, size!, root)).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});
