import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Issued } from '../../test/support/authenticator/certificate-chain.js';
import {
  encodeAuthorityKeyIdentifier,
  type ListProfile,
  makeRevocationList,
  readSerial,
} from '../../test/support/revocation-lists.js';
import { issueAuthority, issueCaller } from '../../test/support/trust-files.js';
import type { Lists } from './select-lists.js';
import { type PeerTrust, readPeerChain, verifyPeer, verifyRevocation } from './peer-chain.js';
import { parseRevocationLists } from '../x509/revocation-list.js';

const NOW = new Date();
const hours = (count: number): Date => new Date(NOW.getTime() + count * 3_600_000);
const WHOLE_SECOND = 1_000;

let root: Issued;
let between: Issued;
let leaf: Issued;
let direct: Issued;
beforeAll(async () => {
  root = await issueAuthority();
  between = await issueAuthority({ subject: 'CN=Between' }, root);
  leaf = await issueCaller(between);
  direct = await issueCaller(root);
});

const certificates = (issued: readonly Issued[]) => issued.map(({ certificate }) => certificate);

async function material(authorities: Issued[], lists: [Issued, ListProfile?][]): Promise<Lists> {
  const file = lists.map(([by, profile]) => makeRevocationList(by, profile)).join('');
  return { authorities: certificates(authorities), revocationLists: await parseRevocationLists(file) };
}

/** Returns why the peer is not trusted, or `trusted`. */
async function verdict(chain: Issued[], trusted: Lists, now = NOW): Promise<string> {
  const outcome = await verifyPeer(certificates(chain), trusted, now);
  return 'flaw' in outcome ? outcome.flaw : 'trusted';
}

const both = (ofRoot: ListProfile = {}, ofBetween: ListProfile = {}): Promise<Lists> =>
  material(
    [root],
    [
      [root, ofRoot],
      [between, ofBetween],
    ],
  );

describe('a peer is trusted', () => {
  it('by a root, with or without it in the chain', async () => {
    expect(await verdict([direct, root], await both())).toBe('trusted');
    expect(await verdict([direct], await both())).toBe('trusted');
  });

  it('through an intermediate authority', async () => {
    expect(await verdict([leaf, between, root], await both())).toBe('trusted');
  });

  it('by one of several roots', async () => {
    const other = await issueAuthority({ subject: 'CN=Other' });
    const bundle = await material([other, root], [[other], [root]]);
    expect(await verdict([direct], bundle)).toBe('trusted');
  });

  it('when its root was issued anew, with the same key', async () => {
    const edition = await issueAuthority({ keys: root.keys });
    expect(await verdict([direct, root], await material([edition], [[edition]]))).toBe('trusted');
  });

  it('when another authority has the same key as its intermediate, or the same name', async () => {
    const renamed = await issueAuthority({ subject: 'CN=Renamed', keys: between.keys }, root);
    const rekeyed = await issueAuthority({ subject: 'CN=Between' }, root);
    for (const other of [renamed, rekeyed]) {
      const trusted = await material([other, root], [[root], [between], [other]]);
      expect(await verdict([leaf, between, root], trusted)).toBe('trusted');
    }
  });

  it('when it sends another edition of its root than the one that the list is for', async () => {
    const renewed = await issueAuthority({ keys: root.keys });
    const naming = (of: Issued): ListProfile => ({ extensions: [encodeAuthorityKeyIdentifier({ of })] });
    const trusted = await material([root], [[root, naming(root)]]);
    const chain = certificates([direct, renewed]);
    expect(await verifyRevocation(chain, trusted, NOW)).toHaveProperty('until');
    expect(await verifyPeer(chain, trusted, NOW)).toHaveProperty('until');
  });

  it('when its intermediate was issued anew, with the same key, though the former one is revoked', async () => {
    const edition = await issueAuthority({ subject: 'CN=Between', keys: between.keys }, root);
    const revoked: ListProfile = { serials: [readSerial(between)] };
    const trusted = await material([root, edition], [[root, revoked], [between]]);
    expect(await verdict([leaf, between, root], trusted)).toBe('trusted');
    expect(await verifyRevocation(certificates([leaf, between, root]), trusted, NOW)).toHaveProperty('until');
  });

  it.each([
    ['2.5.29.30', 'name constraints'],
    ['2.5.29.36', 'policy constraints'],
    ['2.5.29.54', 'inhibit any policy'],
  ])('through an intermediate that has %s (%s), because the handshake checked it', async (type) => {
    const extensions = [new x509.Extension(type, true, new Uint8Array([0x30, 0]))];
    const constrained = await issueAuthority({ subject: 'CN=Between', extensions }, root);
    const peer = await issueCaller(constrained);
    expect(await verdict([peer, constrained], await material([root], [[root], [constrained]]))).toBe('trusted');
  });

  it('until the first certificate or list of its path ends', async () => {
    const until = async (chain: Issued[], trusted: Lists): Promise<number> => {
      const outcome = await verifyPeer(certificates(chain), trusted, NOW);
      return 'until' in outcome ? outcome.until.getTime() : 0;
    };
    const soon = (of: Date): number => Math.floor(of.getTime() / WHOLE_SECOND) * WHOLE_SECOND;
    const long: ListProfile = { nextUpdate: hours(24 * 1_000) };
    const chain = [leaf, between, root];
    expect(await until(chain, await both({ nextUpdate: hours(5) }, { nextUpdate: hours(7) }))).toBe(soon(hours(5)));
    expect(await until(chain, await both({ nextUpdate: hours(7) }, { nextUpdate: hours(5) }))).toBe(soon(hours(5)));
    const young = await issueCaller(between, { notAfter: hours(3) });
    expect(await until([young, between], await both(long, long))).toBe(soon(hours(3)));
    const short = await issueAuthority({ subject: 'CN=Between', notAfter: hours(2) }, root);
    const trusted = await material(
      [root],
      [
        [root, long],
        [short, long],
      ],
    );
    expect(await until([await issueCaller(short), short], trusted)).toBe(soon(hours(2)));
  });
});

describe('a peer is not trusted', () => {
  it.each<[string, () => [ListProfile, ListProfile], string]>([
    ['its certificate is revoked', () => [{}, { serials: [readSerial(leaf)] }], 'the certificate was revoked'],
    ['its intermediate is revoked', () => [{ serials: [readSerial(between)] }, {}], 'the certificate was revoked'],
    ['its authority’s list has ended', () => [{}, { nextUpdate: hours(-1) }], 'the revocation list has ended'],
    [
      'the list of its authority’s authority has ended',
      () => [{ nextUpdate: hours(-1) }, {}],
      'the revocation list has ended',
    ],
    [
      'its authority’s list has not begun, because the clock went back',
      () => [{}, { thisUpdate: hours(1), nextUpdate: hours(2) }],
      'the revocation list has not begun',
    ],
    [
      'its authority’s list does not say when it ends',
      () => [{}, { nextUpdate: null }],
      'the revocation list has ended',
    ],
  ])('when %s', async (_, profiles, flaw) => {
    expect(await verdict([leaf, between, root], await both(...profiles()))).toBe(flaw);
  });

  it('when its intermediate is revoked, though that stands among the authorities, before the root', async () => {
    const trusted = await material([between, root], [[root, { serials: [readSerial(between)] }], [between]]);
    expect(await verdict([leaf, between, root], trusted)).toBe('the certificate was revoked');
  });

  it('when a list for another edition of its authority’s certificate revokes it', async () => {
    const renewed = await issueAuthority({ keys: root.keys });
    const naming = (of: Issued, serials: string[]): ListProfile => ({
      serials,
      extensions: [encodeAuthorityKeyIdentifier({ of })],
    });
    const trusted = await material(
      [root, renewed],
      [
        [root, naming(root, [])],
        [root, naming(renewed, [readSerial(direct)])],
      ],
    );
    expect(await verdict([direct, root], trusted)).toBe('the certificate was revoked');
  });

  it('when its chain ends with itself', async () => {
    const outcome = await verifyRevocation(certificates([direct]), await both(), NOW);
    expect(outcome).toEqual({ flaw: 'the certificate’s authority is not known' });
  });

  it('even when its serial number is on the list of another authority', async () => {
    expect(await verdict([leaf, between], await both({ serials: [readSerial(leaf)] }))).toBe('trusted');
  });

  it.each<[string, () => Issued[]]>([
    ['its intermediate', () => [root]],
    ['its root', () => [between]],
  ])('when %s has no list', async (_, of) => {
    const lists = of().map((by): [Issued] => [by]);
    expect(await verdict([leaf, between, root], await material([root], lists))).toBe(
      'the certificate’s authority has no revocation list',
    );
  });

  it.each<[string, () => Promise<Issued>]>([
    ['its authority is gone', () => issueAuthority({ subject: 'CN=Other' })],
    ['its authority has another key now', () => issueAuthority()],
    ['its authority has ended', () => issueAuthority({ keys: root.keys, notAfter: hours(-1) })],
  ])('when %s', async (_, replacement) => {
    const trusted = await replacement();
    expect(await verdict([direct, root], await material([trusted], [[trusted]]))).toMatch(
      /^the certificate is no longer trusted: /,
    );
  });

  it('when only its intermediate is trusted and not the root, as in OpenSSL', async () => {
    expect(await verdict([leaf, between, root], await material([between], [[between], [root]]))).toMatch(
      'is no longer trusted: it does not end in a known root',
    );
  });

  it('when it has no certificate', async () => {
    expect(await verdict([], await both())).toMatch('is no longer trusted');
  });

  it('from the moment after its list ended', async () => {
    const end = new Date(Math.floor(hours(1).getTime() / WHOLE_SECOND) * WHOLE_SECOND);
    const trusted = await both({}, { nextUpdate: end });
    expect(await verdict([leaf, between], trusted, end)).toBe('trusted');
    expect(await verdict([leaf, between], trusted, new Date(end.getTime() + 1))).toBe('the revocation list has ended');
  });
});

describe('the certificates of a peer', () => {
  /** Links certificates as node:tls does: each one to its issuer, and the root to itself. */
  function socketOf(issued: readonly Issued[]): Parameters<typeof readPeerChain>[0] {
    const links: { raw: Buffer; issuerCertificate?: object }[] = certificates(issued).map(({ raw }) => ({ raw }));
    links.forEach((link, index) => (link.issuerCertificate = links[index + 1] ?? link));
    return { getPeerCertificate: () => links[0] ?? {} } as unknown as Parameters<typeof readPeerChain>[0];
  }

  it('are listed in order, with the root at the end', () => {
    expect(readPeerChain(socketOf([leaf, between, root])).map(({ subject }) => subject)).toEqual([
      'CN=auth-service',
      'CN=Between',
      'CN=Root',
    ]);
  });

  it('are none when it showed none', () => {
    expect(readPeerChain(socketOf([]))).toEqual([]);
  });

  it('are ten at most, however they are linked', () => {
    expect(readPeerChain(socketOf(Array.from({ length: 12 }, (_, index) => [leaf, between][index % 2]!)))).toHaveLength(
      10,
    );
  });
});

describe('with short-lived certificates', () => {
  const DAY = 24;
  const bounded = async (lists: [Issued, ListProfile?][] = [], authorities = [root]): Promise<PeerTrust> => ({
    ...(await material(authorities, lists)),
    shortLivedHours: DAY,
  });
  const issueFor = (lifeMs: number, by = root): Promise<Issued> =>
    issueCaller(by, { notBefore: hours(-1), notAfter: new Date(hours(-1).getTime() + lifeMs) });
  const dayMs = DAY * 3_600_000;

  it('a caller needs no revocation list, however long its authorities live', async () => {
    const caller = await issueFor(dayMs, between);
    expect(await verdict([caller, between, root], await bounded())).toBe('trusted');
    const outcome = await verifyRevocation(certificates([caller, between, root]), await bounded(), NOW);
    expect(outcome).toEqual({ until: caller.certificate.validToDate });
  });

  it.each([
    ['a second more', dayMs + WHOLE_SECOND, '24.01'],
    ['a year', 365 * dayMs, '8760'],
  ])('a caller is refused whose certificate lives %s, also if a list is there', async (_, lifeMs, told) => {
    const caller = await issueFor(lifeMs);
    for (const trusted of [await bounded(), await bounded([[root]])]) {
      const flaw = expect.stringMatching(
        `^the certificate lives ${told} hours .* at most 24 hours .*PASSKEY_TLS_SHORT_LIVED`,
      );
      expect(await verdict([caller, root], trusted)).toEqual(flaw);
      expect(await verifyRevocation(certificates([caller, root]), trusted, NOW)).toEqual({ flaw });
    }
  });

  it('a list that is there still counts: the caller’s, and its authority’s', async () => {
    const caller = await issueFor(dayMs, between);
    const [byBetween, byRoot] = [{ serials: [readSerial(caller)] }, { serials: [readSerial(between)] }];
    for (const list of [[between, byBetween] as const, [root, byRoot] as const]) {
      const trusted = await bounded([[...list]]);
      const verdicts = [
        await verdict([caller, between, root], trusted),
        await verifyRevocation(certificates([caller, between, root]), trusted, NOW),
      ];
      expect(verdicts).toEqual(['the certificate was revoked', { flaw: 'the certificate was revoked' }]);
    }
  });

  it('a list that has ended refuses its authority’s callers', async () => {
    const caller = await issueFor(dayMs);
    const trusted = await bounded([[root, { thisUpdate: hours(-2), nextUpdate: hours(-1) }]]);
    expect(await verdict([caller, root], trusted)).toBe('the revocation list has ended');
  });
});
