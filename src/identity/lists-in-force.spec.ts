import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Issued } from '../../test/support/authenticator/certificate-chain.js';
import { type ListProfile, revocationList } from '../../test/support/revocation-lists.js';
import { authority } from '../../test/support/trust-files.js';
import { isInUse, type Lists, listOf, listsInForce } from './lists-in-force.js';
import { parseRevocationLists } from './revocation-list.js';

const NOW = new Date();
const hours = (count: number): Date => new Date(NOW.getTime() + count * 3_600_000);
const ENDED = { thisUpdate: hours(-3), nextUpdate: hours(-1) };

let root: Issued;
let other: Issued;
let between: Issued;
let ended: Issued;
beforeAll(async () => {
  root = await authority();
  other = await authority({ subject: 'CN=Other' });
  between = await authority({ subject: 'CN=Between' }, root);
  ended = await authority({ subject: 'CN=Ended', notAfter: hours(-1) });
});

async function lists(authorities: Issued[], of: [Issued, ListProfile?][]): Promise<Lists> {
  const file = of.map(([by, profile]) => revocationList(by, profile)).join('');
  return {
    authorities: authorities.map(({ certificate }) => certificate),
    revocationLists: await parseRevocationLists(file),
  };
}

/** The numbers of the lists in force, after a reload from what was held. */
async function inForce(material: Lists, held?: Lists): Promise<(bigint | undefined)[]> {
  return (await listsInForce(material, NOW, held)).map(({ number }) => number).sort();
}

const ofRoot = (profile: ListProfile): Promise<Lists> => lists([root], [[root, profile]]);
const ofBoth = (first: ListProfile, second: ListProfile): Promise<Lists> =>
  lists(
    [root, other],
    [
      [root, first],
      [other, second],
    ],
  );

describe('of the lists in a file', () => {
  it('the newest of each authority is in force, wherever it stands', async () => {
    for (const numbers of [
      [1, 2],
      [2, 1],
    ]) {
      expect(await inForce(await lists([root], numbers.map((number) => [root, { number }])))).toEqual([2n]); // prettier-ignore
    }
  });

  it.each<[string, ListProfile, ListProfile]>([
    ['by its number', { number: 3, thisUpdate: hours(-3) }, { number: 2, thisUpdate: hours(-2) }],
    ['by its time where the number is the same', { thisUpdate: hours(-2) }, { thisUpdate: hours(-3) }],
    ['by its time where it has no number', { number: null, thisUpdate: hours(-2) }, { number: 7, thisUpdate: hours(-3) }],
    ['by its time where the other has none', { number: 7, thisUpdate: hours(-2) }, { number: null, thisUpdate: hours(-3) }],
  ])('one is the newest %s', async (_, newest, other) => {
    for (const profiles of [[newest, other], [other, newest]]) {
      const material = await lists([root], profiles.map((profile) => [root, profile]));
      expect(await listsInForce(material, NOW)).toEqual([material.revocationLists[profiles.indexOf(newest)]]);
    }
  }); // prettier-ignore

  it('that of an intermediate authority is, though nobody here can verify it', async () => {
    const material = await lists([root], [[root], [between, { number: 5 }]]);
    expect(await inForce(material)).toEqual([1n, 5n]);
    expect(await inForce(await lists([root], [[root], [between, { ...ENDED, number: 5 }]]))).toEqual([1n, 5n]);
  });

  it('that of an intermediate in the file must be as good as a root’s', async () => {
    const material = await lists([root, between], [[root], [between, ENDED]]);
    await expect(listsInForce(material, NOW)).rejects.toThrow('the list of "CN=Between" ended on');
    await expect(listsInForce(await lists([root, between], [[root]]), NOW)).rejects.toThrow('"CN=Between" is missing');
  });

  it('none is of an authority that has ended, nor must there be one', async () => {
    expect(await inForce(await lists([ended, root], [[ended, { ...ENDED, number: 4 }], [root]]))).toEqual([1n]);
    expect(await inForce(await lists([ended, root], [[root]]))).toEqual([1n]);
  });

  it('one of each is that of two authorities of one name', async () => {
    const rekeyed = await authority();
    const both = await lists([root, rekeyed], [[root, { number: 3 }], [rekeyed, { number: 4 }]]); // prettier-ignore
    expect(await inForce(both)).toEqual([3n, 4n]);
    const one = await lists([root, rekeyed], [[root]]);
    await expect(listsInForce(one, NOW)).rejects.toThrow('the list of "CN=Root" is missing');
  });

  it('one may end or begin at this moment', async () => {
    expect(await inForce(await ofRoot({ thisUpdate: hours(-1), nextUpdate: new Date(NOW.getTime() + 999) }))).toEqual([1n]); // prettier-ignore
    await expect(listsInForce(await ofRoot({ thisUpdate: hours(1) }), NOW)).rejects.toThrow('begins on');
  });
});

describe('in operation', () => {
  it('a newer list replaces the one in use, and so does the same', async () => {
    const held = await ofRoot({ number: 2, thisUpdate: hours(-1) });
    for (const number of [2, 3]) {
      expect(await inForce(await ofRoot({ number, thisUpdate: hours(-1) }), held)).toEqual([BigInt(number)]);
    }
  });

  it.each<[string, ListProfile]>([
    ['a lower number, however new', { number: 1, thisUpdate: NOW }],
    ['the same number and an earlier time', { number: 2, thisUpdate: hours(-5) }],
    ['an earlier time and no number', { number: null, thisUpdate: hours(-5) }],
  ])('a list of %s does not: it could bring back who was revoked', async (_, profile) => {
    const refused = listsInForce(await ofRoot(profile), NOW, await ofRoot({ number: 2, thisUpdate: hours(-2) }));
    await expect(refused).rejects.toThrow('the list of "CN=Root" is older than the one in use');
  });

  it('a list that has ended does not', async () => {
    await expect(listsInForce(await ofRoot({ ...ENDED, number: 9 }), NOW, await ofRoot({}))).rejects.toThrow(
      'ended on',
    );
  });

  it('the missing list of an authority that is new is a mistake', async () => {
    const material = await lists([root, other], [[root]]);
    await expect(listsInForce(material, NOW, await ofRoot({}))).rejects.toThrow('the list of "CN=Other" is missing');
  });

  it('a list that ended in use keeps no other authority’s new one out', async () => {
    const held = await ofBoth({ number: 2 }, { ...ENDED, number: 6 });
    expect(await inForce(await ofBoth({ number: 3 }, { ...ENDED, number: 6 }), held)).toEqual([3n, 6n]);
    expect(await inForce(await lists([root, other], [[root, { number: 3 }]]), await ofBoth({}, ENDED))).toEqual([3n]);
  });

  it('but an older one does not take its place', async () => {
    const held = await ofBoth({}, { ...ENDED, number: 6 });
    await expect(listsInForce(await ofBoth({}, { ...ENDED, number: 5 }), NOW, held)).rejects.toThrow('is older');
  });

  it('an authority may be replaced by another one of its name, whose lists begin anew', async () => {
    const rekeyed = await authority();
    const held = await ofRoot({ number: 9 });
    expect(await inForce(await lists([rekeyed], [[rekeyed, { number: 1 }]]), held)).toEqual([1n]);
  });
});

describe('the list of an authority', () => {
  it('is undefined where it has signed none', async () => {
    expect(await listOf(other.certificate, await ofRoot({}))).toBeUndefined();
  });

  it('is of use while one authority of its name has not ended', async () => {
    const former = await authority({ keys: root.keys, notAfter: hours(-1) });
    const { revocationLists, authorities } = await lists([former, root], [[root]]);
    expect(isInUse(revocationLists[0]!, authorities, NOW)).toBe(true);
  });

  it('is of use until the authority ends', async () => {
    const { revocationLists, authorities } = await lists([root, ended], [[root], [ended], [between]]);
    expect(revocationLists.map((list) => isInUse(list, authorities, NOW))).toEqual([true, false, true]);
    expect(revocationLists.map((list) => isInUse(list, authorities, hours(24 * 400)))).toEqual([false, false, true]);
  });
});
