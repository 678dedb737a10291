import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CompactRange, EMPTY_ROOT, hashLeaf, hashNode, listPerfectSubtrees } from './merkle.js';
import { makeConsistencyProof, makeInclusionProof, makeRangeProof, readRoot } from './proofs.js';
import { type HashReader, isStoredLevel } from './tiles.js';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const same = (some: readonly Buffer[], others: readonly Buffer[]): boolean =>
  some.length === others.length && Buffer.concat(some).equals(Buffer.concat(others));
const toHexes = (hashes: readonly Uint8Array[]): string[] => hashes.map((hash) => Buffer.from(hash).toString('hex'));

/**
 * Eight leaves, and the roots of the trees of 1 to 8 of them, which implementations of Certificate Transparency share.
 */
const CT_LEAVES = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const CT_ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** RFC 6962 §2.1, word for word, over leaf hashes. */
function mth(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return EMPTY_ROOT;
  if (hashes.length === 1) return hashes[0]!;
  const k = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  return hashNode(mth(hashes.slice(0, k)), mth(hashes.slice(k)));
}

/** RFC 6962 §2.1.1, word for word. */
function path(m: number, hashes: readonly Buffer[]): Buffer[] {
  if (hashes.length === 1) return [];
  const k = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  const [before, after] = [hashes.slice(0, k), hashes.slice(k)];
  return m < k ? [...path(m, before), mth(after)] : [...path(m - k, after), mth(before)];
}

/** RFC 6962 §2.1.2, word for word. */
function subproof(m: number, hashes: readonly Buffer[], whole: boolean): Buffer[] {
  if (m === hashes.length) return whole ? [] : [mth(hashes)];
  const k = 2 ** Math.ceil(Math.log2(hashes.length) - 1);
  const [before, after] = [hashes.slice(0, k), hashes.slice(k)];
  return m <= k ? [...subproof(m, before, whole), mth(after)] : [...subproof(m - k, after, false), mth(before)];
}

/** A log that keeps its stored levels and counts the reads. */
class StoredLog implements HashReader {
  readonly levels = new Map<number, Buffer[]>([[0, []]]);
  readonly frontier = new CompactRange();
  reads: number[] = [];

  append(hash: Buffer): void {
    this.levels.get(0)!.push(hash);
    this.frontier.append(hash, (level, index, completed) => {
      if (!isStoredLevel(level)) return;
      const stored = this.levels.get(level) ?? [];
      expect(stored).toHaveLength(index);
      this.levels.set(level, [...stored, completed]);
    });
  }

  read(level: number, fromIndex: number, count: number): Promise<Buffer[]> {
    this.reads.push(count);
    return Promise.resolve((this.levels.get(level) ?? []).slice(fromIndex, fromIndex + count));
  }
}

function makeLog(size: number): { log: StoredLog; hashes: Buffer[] } {
  const log = new StoredLog();
  const hashes = Array.from({ length: size }, (_, index) => hashLeaf(String(index)));
  for (const hash of hashes) log.append(hash);
  return { log, hashes };
}

describe('RFC 6962 §2.1: Merkle hash trees', () => {
  it('hash nothing, a leaf and a node as the known answers do', () => {
    expect(EMPTY_ROOT.toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    const leaf = '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56';
    expect(hashLeaf('L123456').toString('hex')).toBe(leaf);
    expect(hashLeaf(Buffer.from('L123456')).toString('hex')).toBe(leaf);
    expect(hashLeaf('é')).toEqual(hashLeaf(Buffer.from('é')));
  });

  it('have the roots of the known trees of 0 to 8 leaves', () => {
    const range = new CompactRange();
    expect(range.computeRoot()).toEqual(EMPTY_ROOT);
    const roots = CT_LEAVES.map((leaf) => {
      range.append(hashLeaf(hex(leaf)));
      return range.computeRoot().toString('hex');
    });
    expect(roots).toEqual(CT_ROOTS);
  });

  it.each([
    [10, '56358c3d260db42b8236517f44b9d0cba1dcc1293a0888a97f19be85eb6d03ee'],
    [15, '8f84ae9589a8705bb175eca9d76c5708880ae8f7a405cc730088f8cdb4333442'],
    [16, '73ee1473a04230e65ffefdcd64ad64a935097be6c1a05b4e84ff8fdd26b22911'],
    [100, '75487d8581fcf29d023281e476bd700b6b336e170b01739e8d6a48348a282946'],
  ])('have the root of the known tree of %i leaves', (size, root) => {
    const range = new CompactRange();
    for (let index = 0; index < size; index++) range.append(hashLeaf(Buffer.of(index & 0xff, index >> 8)));
    expect(range.computeRoot().toString('hex')).toBe(root);
  });

  it('refuse what is not a hash', () => {
    expect(() => hashNode(EMPTY_ROOT, EMPTY_ROOT.subarray(1))).toThrow(RangeError);
    expect(() => {
      new CompactRange().append(Buffer.alloc(31));
    }).toThrow(RangeError);
  });
});

describe('the stored hashes of a log', () => {
  const { log, hashes } = makeLog(700);

  it('give the root of every size up to 700', async () => {
    for (let size = 0; size <= 700; size++) expect(await readRoot(log, size)).toEqual(mth(hashes.slice(0, size)));
  });

  it('give every inclusion proof of every size up to 70, and of some above (§2.1.1)', async () => {
    const sizes = [...Array.from({ length: 70 }, (_, index) => index + 1), 255, 256, 257, 300, 511, 512, 513, 700];
    const wrong: [number, number][] = [];
    for (const size of sizes) {
      for (let index = 0; index < size; index += size > 70 ? 17 : 1) {
        const proof = await makeInclusionProof(log, index, size);
        if (!same(proof, path(index, hashes.slice(0, size)))) wrong.push([index, size]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('give every consistency proof between sizes up to 40, and between some above (§2.1.2)', async () => {
    const sizes = [...Array.from({ length: 40 }, (_, index) => index + 1), 255, 256, 257, 300, 511, 512, 513, 700];
    const wrong: [number, number][] = [];
    for (const to of sizes) {
      expect(await makeConsistencyProof(log, 0, to)).toEqual([]);
      for (const from of sizes.filter((size) => size <= to)) {
        const proof = await makeConsistencyProof(log, from, to);
        if (!same(proof, subproof(from, hashes.slice(0, to), true))) wrong.push([from, to]);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('give the left and right of a range as the largest perfect subtrees, left to right', async () => {
    const subtree = (begin: number, end: number): Buffer => mth(hashes.slice(begin, end));
    const { left, right } = await makeRangeProof(log, 13, 21, 45);
    expect(left).toEqual([subtree(0, 8), subtree(8, 12), subtree(12, 13)]);
    expect(right).toEqual([
      subtree(21, 22),
      subtree(22, 24),
      subtree(24, 32),
      subtree(32, 40),
      subtree(40, 44),
      subtree(44, 45),
    ]);
    expect(await makeRangeProof(log, 0, 45, 45)).toEqual({ left: [], right: [] });
    expect(await makeRangeProof(log, 0, 0, 0)).toEqual({ left: [], right: [] });
    expect(await makeRangeProof(log, 8, 8, 16)).toEqual({ left: [subtree(0, 8)], right: [subtree(8, 16)] });
  });

  it('are read at most twice for each stored level, at most 256 at a time', async () => {
    const big = makeLog(70_000).log;
    for (const read of [
      () => makeInclusionProof(big, 65_537, 70_000),
      () => makeConsistencyProof(big, 12_345, 69_999),
      () => makeRangeProof(big, 33_333, 44_444, 70_000),
    ]) {
      big.reads = [];
      await read();
      expect(big.reads.length).toBeLessThanOrEqual(6);
      expect(Math.max(...big.reads)).toBeLessThanOrEqual(256);
    }
  });

  it('are reported when some are missing', async () => {
    const holed: HashReader = { read: (level, from, count) => log.read(level, from, count - 1) };
    await expect(readRoot(holed, 700)).rejects.toThrow('not whole');
    const short: HashReader = { read: () => Promise.resolve(Array.from({ length: 4 }, () => Buffer.alloc(31))) };
    await expect(readRoot(short, 4)).rejects.toThrow('not whole');
  });

  it.each([
    ['an inclusion proof of a leaf beyond the tree', () => makeInclusionProof(log, 5, 5)],
    ['a consistency proof to a smaller tree', () => makeConsistencyProof(log, 6, 5)],
    ['a range beyond the tree', () => makeRangeProof(log, 1, 6, 5)],
    ['a range that ends before it begins', () => makeRangeProof(log, 3, 2, 5)],
    ['the root of a negative size', () => readRoot(log, -1)],
    ['the root of half a size', () => readRoot(log, 1.5)],
  ])('do not give %s', async (_, make) => {
    await expect(make()).rejects.toThrow(RangeError);
  });
});

describe('a compact range', () => {
  const hashes = Array.from({ length: 3000 }, (_, index) => hashLeaf(String(index)));
  const makeRange = (begin: number, end: number): CompactRange => {
    const range = new CompactRange(begin);
    for (const hash of hashes.slice(begin, end)) range.append(hash);
    return range;
  };
  const cuts = fc.array(fc.nat(3000), { minLength: 4, maxLength: 4 }).map((four) => four.sort((a, b) => a - b));

  it('holds the hashes of the perfect subtrees that cover it', () => {
    fc.assert(
      fc.property(cuts, ([begin, end]) => {
        const { hashes: held } = makeRange(begin!, end!);
        const covering = listPerfectSubtrees(begin!, end!).map(({ level, index }) =>
          mth(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level)),
        );
        expect(toHexes(held)).toEqual(toHexes(covering));
      }),
      { numRuns: 60 },
    );
  });

  it('has as many hashes from 0 as its size has ones in binary', () => {
    expect(makeRange(0, 2047).hashes).toHaveLength(11);
    expect(makeRange(0, 2048).hashes).toHaveLength(1);
  });

  it('is the same however it was put together', () => {
    fc.assert(
      fc.property(cuts, ([, first, second, end]) => {
        const joined = makeRange(0, first!).join(makeRange(first!, second!)).join(makeRange(second!, end!));
        expect(toHexes(joined.hashes)).toEqual(toHexes(makeRange(0, end!).hashes));
        expect(joined.computeRoot()).toEqual(mth(hashes.slice(0, end)));
      }),
      { numRuns: 60 },
    );
  });

  it('grows from its bytes, and leaves its copies alone', () => {
    fc.assert(
      fc.property(cuts, ([begin, cut, , end]) => {
        const first = makeRange(begin!, cut!);
        const bytes = first.serialise();
        const grown = first.copy();
        for (const hash of hashes.slice(cut, end)) grown.append(hash);
        expect(first.serialise()).toEqual(bytes);
        const parsed = CompactRange.parse(begin!, cut!, bytes);
        for (const hash of hashes.slice(cut, end)) parsed.append(hash);
        expect(parsed.serialise()).toEqual(grown.serialise());
        expect(parsed.end).toBe(end);
      }),
      { numRuns: 60 },
    );
  });

  it('works beyond 32 bits', () => {
    const begin = 2 ** 40 + 1;
    const range = new CompactRange(begin);
    for (const hash of hashes.slice(0, 7)) range.append(hash);
    expect(range.end).toBe(2 ** 40 + 8);
    expect(toHexes(range.hashes)).toEqual(toHexes([hashes[0]!, mth(hashes.slice(1, 3)), mth(hashes.slice(3, 7))]));
  });

  it.each([
    ['too few bytes', () => CompactRange.parse(0, 3, Buffer.alloc(32))],
    ['too many bytes', () => CompactRange.parse(0, 3, Buffer.alloc(96))],
    ['half a hash', () => CompactRange.parse(0, 3, Buffer.alloc(63))],
    ['an end before the beginning', () => CompactRange.of(3, 2, [])],
    ['a range that does not follow', () => makeRange(0, 3).join(makeRange(4, 5))],
    ['the root of a range from elsewhere', () => makeRange(1, 3).computeRoot()],
  ])('refuses %s', (_, make) => {
    expect(make).toThrow(RangeError);
  });
});
