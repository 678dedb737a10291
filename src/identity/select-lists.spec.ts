import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Issued } from '../../test/support/authenticator/certificate-chain.js';
import {
  encodeAuthorityKeyIdentifier,
  type ListProfile,
  makeRevocationList,
} from '../../test/support/revocation-lists.js';
import { issueAuthority, issueIdentifiedAuthority } from '../../test/support/trust-files.js';
import { isListInUse, type Lists, findList, type SelectedLists, selectLists } from './select-lists.js';
import { parseRevocationLists } from '../x509/revocation-list.js';

const NOW = new Date();
const hours = (count: number): Date => new Date(NOW.getTime() + count * 3_600_000);
const ENDED = { thisUpdate: hours(-3), nextUpdate: hours(-1) };

let root: Issued;
let other: Issued;
let between: Issued;
let ended: Issued;
beforeAll(async () => {
  root = await issueAuthority();
  other = await issueAuthority({ subject: 'CN=Other' });
  between = await issueAuthority({ subject: 'CN=Between' }, root);
  ended = await issueAuthority({ subject: 'CN=Ended', notAfter: hours(-1) });
});

async function lists(authorities: Issued[], of: [Issued, ListProfile?][]): Promise<Lists> {
  const file = of.map(([by, profile]) => makeRevocationList(by, profile)).join('');
  return {
    authorities: authorities.map(({ certificate }) => certificate),
    revocationLists: await parseRevocationLists(file),
  };
}

/** Reloads the other material one after another, then the material, and returns the lists in use. */
async function reload(material: Lists, ...before: Lists[]): Promise<SelectedLists> {
  let held: SelectedLists | undefined;
  for (const lists of before) held = await selectLists(lists, NOW, held);
  return selectLists(material, NOW, held);
}

/** The given lists as material that is already in use. */
const heldSince = (lists: Lists): SelectedLists => ({ ...lists, newest: lists.revocationLists });

/** Returns the numbers of the lists in use after a reload from `held`. */
async function numbersInUse(material: Lists, held?: Lists): Promise<(bigint | undefined)[]> {
  const { revocationLists } = await selectLists(material, NOW, held && heldSince(held));
  return revocationLists.map(({ number }) => number).sort();
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

describe('a file of revocation lists', () => {
  it('gives the newest list of each authority, in any order', async () => {
    for (const numbers of [
      [1, 2],
      [2, 1],
    ]) {
      expect(
        await numbersInUse(
          await lists(
            [root],
            numbers.map((number) => [root, { number }]),
          ),
        ),
      ).toEqual([2n]);
    }
  });

  it.each<[string, ListProfile, ListProfile]>([
    ['by its number', { number: 3, thisUpdate: hours(-3) }, { number: 2, thisUpdate: hours(-2) }],
    ['by its time where the number is the same', { thisUpdate: hours(-2) }, { thisUpdate: hours(-3) }],
    [
      'by its time where it has no number',
      { number: null, thisUpdate: hours(-2) },
      { number: 7, thisUpdate: hours(-3) },
    ],
    [
      'by its time where the other has none',
      { number: 7, thisUpdate: hours(-2) },
      { number: null, thisUpdate: hours(-3) },
    ],
  ])('gives as the newest the one %s', async (_, newest, other) => {
    for (const profiles of [
      [newest, other],
      [other, newest],
    ]) {
      const material = await lists(
        [root],
        profiles.map((profile) => [root, profile]),
      );
      expect((await selectLists(material, NOW)).revocationLists).toEqual([
        material.revocationLists[profiles.indexOf(newest)],
      ]);
    }
  });

  it('gives the list of an intermediate authority, though the service cannot verify it', async () => {
    const material = await lists([root], [[root], [between, { number: 5 }]]);
    expect(await numbersInUse(material)).toEqual([1n, 5n]);
    expect(await numbersInUse(await lists([root], [[root], [between, { ...ENDED, number: 5 }]]))).toEqual([1n, 5n]);
  });

  it('must hold as good a list of an intermediate in the file as of a root', async () => {
    const material = await lists([root, between], [[root], [between, ENDED]]);
    await expect(selectLists(material, NOW)).rejects.toThrow('the list of "CN=Between" ended on');
    await expect(selectLists(await lists([root, between], [[root]]), NOW)).rejects.toThrow('"CN=Between" is missing');
  });

  it('gives no list of an authority that has ended, and needs none', async () => {
    expect(await numbersInUse(await lists([ended, root], [[ended, { ...ENDED, number: 4 }], [root]]))).toEqual([1n]);
    expect(await numbersInUse(await lists([ended, root], [[root]]))).toEqual([1n]);
  });

  it('gives one list for each of two authorities of the same name', async () => {
    const [old, rekeyed] = [await issueIdentifiedAuthority('01'), await issueIdentifiedAuthority('02')];
    const of = (keyId: string) => ({ extensions: [encodeAuthorityKeyIdentifier({ keyId })] });
    const both = await lists(
      [old, rekeyed],
      [
        [old, { number: 3, ...of('01') }],
        [rekeyed, { number: 4, ...of('02') }],
      ],
    );
    expect(await numbersInUse(both)).toEqual([3n, 4n]);
    const one = await lists([old, rekeyed], [[old, of('01')]]);
    await expect(selectLists(one, NOW)).rejects.toThrow('the list of "CN=Root" is missing');
  });

  it('may hold a list that ends or begins at this moment', async () => {
    expect(
      await numbersInUse(await ofRoot({ thisUpdate: hours(-1), nextUpdate: new Date(NOW.getTime() + 999) })),
    ).toEqual([1n]);
    await expect(selectLists(await ofRoot({ thisUpdate: hours(1) }), NOW)).rejects.toThrow('begins on');
  });
});

describe('in operation', () => {
  it('a newer list replaces the current one, and so does an equal one', async () => {
    const held = await ofRoot({ number: 2, thisUpdate: hours(-1) });
    for (const number of [2, 3]) {
      expect(await numbersInUse(await ofRoot({ number, thisUpdate: hours(-1) }), held)).toEqual([BigInt(number)]);
    }
  });

  it.each<[string, ListProfile]>([
    ['a lower number, however new', { number: 1, thisUpdate: NOW }],
    ['the same number and an earlier time', { number: 2, thisUpdate: hours(-5) }],
    ['an earlier time and no number', { number: null, thisUpdate: hours(-5) }],
  ])(
    'a list of %s does not replace the current one, because it could bring back a revoked caller',
    async (_, profile) => {
      const refused = selectLists(
        await ofRoot(profile),
        NOW,
        heldSince(await ofRoot({ number: 2, thisUpdate: hours(-2) })),
      );
      await expect(refused).rejects.toThrow('the list of "CN=Root" is older than the one in use');
    },
  );

  it('a list that has ended does not replace the current one', async () => {
    await expect(selectLists(await ofRoot({ ...ENDED, number: 9 }), NOW, heldSince(await ofRoot({})))).rejects.toThrow(
      'ended on',
    );
  });

  it('a missing list of a new authority is a mistake', async () => {
    const material = await lists([root, other], [[root]]);
    await expect(selectLists(material, NOW, heldSince(await ofRoot({})))).rejects.toThrow(
      'the list of "CN=Other" is missing',
    );
  });

  it('a list that ended in use does not keep the new list of another authority out', async () => {
    const held = await ofBoth({ number: 2 }, { ...ENDED, number: 6 });
    expect(await numbersInUse(await ofBoth({ number: 3 }, { ...ENDED, number: 6 }), held)).toEqual([3n, 6n]);
    expect(await numbersInUse(await lists([root, other], [[root, { number: 3 }]]), await ofBoth({}, ENDED))).toEqual([
      3n,
    ]);
  });

  it('a list that ended in use is not replaced by an older one', async () => {
    const held = await ofBoth({}, { ...ENDED, number: 6 });
    await expect(selectLists(await ofBoth({}, { ...ENDED, number: 5 }), NOW, heldSince(held))).rejects.toThrow(
      'is older',
    );
  });

  it('an authority may be replaced by another one of its name, whose lists begin anew', async () => {
    const rekeyed = await issueAuthority();
    const held = await ofRoot({ number: 9 });
    expect(await numbersInUse(await lists([rekeyed], [[rekeyed, { number: 1 }]]), held)).toEqual([1n]);
  });
});

describe('in operation, for an authority that the file does not hold,', () => {
  const ofBetween = (profile: ListProfile): Promise<Lists> => lists([root], [[root], [between, profile]]);
  const HELD: ListProfile = { number: 5, thisUpdate: hours(-2) };

  it.each<[string, ListProfile]>([
    ['a lower number, however new', { number: 4, thisUpdate: NOW }],
    ['the same number and an earlier time', { number: 5, thisUpdate: hours(-3) }],
    ['an earlier time and no number', { number: null, thisUpdate: hours(-3) }],
  ])('a list of %s does not replace the current one', async (_, profile) => {
    const refused = reload(await ofBetween(profile), await ofBetween(HELD));
    await expect(refused).rejects.toThrow(
      'the list of "CN=Between" is older than the one in use; if the list in use is not genuine, add the authority to PASSKEY_TLS_CA_FILE',
    );
  });

  it('a newer list replaces it, and only the newest of several is used', async () => {
    const both = await lists([root], [[root], [between, { number: 7 }], [between, { number: 6 }]]);
    expect((await reload(both, await ofBetween(HELD))).revocationLists.map(({ number }) => number).sort()).toEqual([
      1n,
      7n,
    ]);
  });

  it('an older list does not come back when the newer one was left out meanwhile', async () => {
    const refused = reload(await ofBetween({ number: 4 }), await ofBetween(HELD), await ofRoot({}), await ofRoot({}));
    await expect(refused).rejects.toThrow('the list of "CN=Between" is older');
  });

  it('an older list does not come back with the authority itself', async () => {
    const held = await lists([root, other], [[root], [other, { number: 9 }]]);
    const refused = reload(await lists([root, other], [[root], [other, { number: 8 }]]), held, await ofRoot({}));
    await expect(refused).rejects.toThrow('the list of "CN=Other" is older than the one in use');
  });

  it('an older list may follow one that the authority did not sign, once the file holds the authority', async () => {
    const impostor = await issueAuthority({ subject: 'CN=Between' }, root);
    const held = await lists([root], [[root], [impostor, { number: 99 }]]);
    await expect(reload(await ofBetween({ number: 5 }), held)).rejects.toThrow('is older');
    const known = await lists([root, between], [[root], [between, { number: 5 }]]);
    expect((await reload(known, held)).revocationLists.map(({ number }) => number).sort()).toEqual([1n, 5n]);
  });

  it('key identifiers distinguish the lists of two such authorities of one name', async () => {
    const of = (keyId: string, number: number) => ({ number, extensions: [encodeAuthorityKeyIdentifier({ keyId })] });
    const rekeyed = await issueAuthority({ subject: 'CN=Between' }, root);
    const both = await lists([root], [[root], [between, of('01', 5)], [rekeyed, of('02', 2)]]);
    expect((await reload(both, await ofRoot({}))).revocationLists.map(({ number }) => number).sort()).toEqual([
      1n,
      2n,
      5n,
    ]);
    const older = await lists([root], [[root], [between, of('01', 4)], [rekeyed, of('02', 2)]]);
    await expect(reload(older, both)).rejects.toThrow('the list of "CN=Between" is older');
  });
});

describe('a list that OpenSSL would not apply is refused', () => {
  const of = (identifier: Parameters<typeof encodeAuthorityKeyIdentifier>[0]): ListProfile => ({
    extensions: [encodeAuthorityKeyIdentifier(identifier)],
  });

  it('because its authority key identifier belongs to another key', async () => {
    const identified = await issueIdentifiedAuthority('0a0b');
    const refused = selectLists(await lists([identified], [[identified, of({ keyId: '0a0c' })]]), NOW);
    await expect(refused).rejects.toThrow('the list of "CN=Root" names another key as its authority’s');
    expect(await numbersInUse(await lists([identified], [[identified, of({ keyId: '0a0b' })]]))).toEqual([1n]);
  });

  it('because it names the certificate that its authority had before, as easy-rsa’s does after a renewal', async () => {
    const renewed = await issueAuthority({ keys: root.keys });
    const refused = selectLists(await lists([renewed], [[renewed, of({ of: root })]]), NOW);
    await expect(refused).rejects.toThrow('names another certificate of its authority, by issuer and serial number');
    expect(await numbersInUse(await lists([renewed], [[renewed, of({ of: renewed })]]))).toEqual([1n]);
  });

  it('because it names a certificate by another issuer', async () => {
    const [one, two] = [await issueAuthority({ subject: 'CN=One' }), await issueAuthority({ subject: 'CN=Two' })];
    const [byOne, byTwo] = [
      await issueAuthority({ subject: 'CN=Between', serialNumber: '05' }, one),
      await issueAuthority({ subject: 'CN=Between', serialNumber: '05' }, two),
    ];
    const material = await lists([one, two, byOne], [[one], [two], [byOne, of({ of: byTwo })]]);
    await expect(selectLists(material, NOW)).rejects.toThrow('"CN=Between" names another certificate');
  });

  it.each<[string, ListProfile, ListProfile]>([
    ['two authorities of its name lack identifiers in both', {}, {}],
    ['two authorities of its name lack one in the newer', {}, of({ keyId: '02' })],
    ['two authorities of its name lack one in the older', of({ keyId: '01' }), {}],
  ])('because the lists of %s', async (_, first, second) => {
    const [one, two] = [await issueIdentifiedAuthority('01'), await issueIdentifiedAuthority('02')];
    const material = await lists(
      [one, two],
      [
        [one, first],
        [two, second],
      ],
    );
    await expect(selectLists(material, NOW)).rejects.toThrow('two authorities have the name "CN=Root"');
  });

  it('unless the other authority of its name has ended', async () => {
    const former = await issueAuthority({ notAfter: hours(-1) });
    expect(await numbersInUse(await lists([former, root], [[former, { number: 8 }], [root]]))).toEqual([1n]);
  });
});

describe('a certificate of an authority that its list does not name', () => {
  const renewal = async (): Promise<Issued> => issueAuthority({ keys: root.keys });
  const naming = (of: Issued, number: number): [Issued, ListProfile] => [
    root,
    { number, extensions: [encodeAuthorityKeyIdentifier({ of })] },
  ];
  const serials = ({ authorities }: Lists) => authorities.map(({ serialNumber }) => serialNumber);

  it('is left out beside the one that it names, until a list names it', async () => {
    const renewed = await renewal();
    const first = await lists([renewed, root], [naming(root, 1)]);
    const inUse = await selectLists(first, NOW);
    expect(serials(inUse)).toEqual([root.certificate.serialNumber]);
    const both = await lists([renewed, root], [naming(root, 1), naming(renewed, 2)]);
    expect(serials(await selectLists(both, NOW, inUse))).toEqual(serials(both));
    const last = await lists([renewed], [naming(renewed, 2)]);
    expect(serials(await selectLists(last, NOW, inUse))).toEqual(serials(last));
  });

  it('is used when the list names only the key', async () => {
    const material = await lists([await renewal(), root], [[root]]);
    expect(serials(await selectLists(material, NOW))).toEqual(serials(material));
  });
});

describe('the list of an authority', () => {
  it('is undefined when the authority has signed none', async () => {
    expect(await findList(other.certificate, await ofRoot({}))).toBeUndefined();
  });

  it('is useful while one authority of its name has not ended', async () => {
    const former = await issueAuthority({ keys: root.keys, notAfter: hours(-1) });
    const { revocationLists, authorities } = await lists([former, root], [[root]]);
    expect(isListInUse(revocationLists[0]!, authorities, NOW)).toBe(true);
  });

  it('is useful until the authority ends', async () => {
    const { revocationLists, authorities } = await lists([root, ended], [[root], [ended], [between]]);
    expect(revocationLists.map((list) => isListInUse(list, authorities, NOW))).toEqual([true, false, true]);
    expect(revocationLists.map((list) => isListInUse(list, authorities, hours(24 * 400)))).toEqual([
      false,
      false,
      true,
    ]);
  });
});
