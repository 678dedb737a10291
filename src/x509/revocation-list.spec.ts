import type { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { issue, type Issued, type KeyAlgorithm, P256 } from '../../test/support/authenticator/certificate-chain.js';
import {
  encodeAuthorityKeyIdentifier,
  encodeExtension,
  encodeList,
  type ListProfile,
  toListPem,
  makeRevocationList,
  encodeElement,
} from '../../test/support/revocation-lists.js';
import { issueAuthority } from '../../test/support/trust-files.js';
import { readDistinguishedNames } from './authority-key.js';
import { parseRevocationLists, type RevocationList } from './revocation-list.js';

let root: Issued;
beforeAll(async () => {
  root = await issueAuthority();
});

async function parsed(profile: ListProfile = {}, by = root): Promise<RevocationList> {
  const [list] = await parseRevocationLists(makeRevocationList(by, profile));
  return list!;
}

describe('RFC 5280 §5: a revocation list', () => {
  it('says when it was made and when the next one comes, to the second', async () => {
    const thisUpdate = new Date('2026-02-03T04:05:06Z');
    const nextUpdate = new Date('2026-03-04T05:06:07Z');
    expect(await parsed({ thisUpdate, nextUpdate })).toMatchObject({ thisUpdate, nextUpdate });
  });

  it.each(['1999-12-31T23:59:59Z', '2049-12-31T23:59:59Z', '2050-01-01T00:00:00Z', '9999-12-31T23:59:59Z'])(
    'accepts these times as %s',
    async (time) => {
      expect((await parsed({ thisUpdate: new Date(time), nextUpdate: new Date(time) })).nextUpdate).toEqual(
        new Date(time),
      );
    },
  );

  it('may leave out when the next one comes, and reports that', async () => {
    expect((await parsed({ nextUpdate: null })).nextUpdate).toBeUndefined();
  });

  it.each([
    [null, undefined],
    [0, 0n],
    [7, 7n],
    [128, 128n],
    [0x1_00_00_00, 0x1_00_00_00n],
  ])('of the number %p has the number %p', async (number, expected) => {
    expect((await parsed({ number })).number).toBe(expected);
  });

  it.each([
    ['its authority’s key identifier', '300f 0603551d23 0408 3006 8004 01020304'],
    ['one that says that it is not critical', '300c 0603551d15 010100 0402 0500'],
  ])('may have other extensions beside its number: %s', async (_, extension) => {
    const extensions = [Buffer.from(extension.replaceAll(' ', ''), 'hex')];
    expect((await parsed({ number: 7, extensions })).number).toBe(7n);
    expect((await parsed({ number: null, extensions })).number).toBeUndefined();
  });

  it('may have entries with extensions that are not critical', async () => {
    const reason = encodeExtension('551d15', encodeElement(0x0a, Buffer.from([1])));
    const invalidity = encodeExtension('551d18', encodeElement(0x18, Buffer.from('20260101000000Z')));
    for (const entryExtensions of [[reason], [reason, invalidity], [invalidity]]) {
      const list = await parsed({ serials: ['0102', '0103'], entryExtensions });
      expect([list.size, list.revokes('0102'), list.revokes('0104')]).toEqual([2, true, false]);
    }
  });

  it('says whose it is, by key or by the issuer and the serial number of a certificate', async () => {
    const { issuer } = readDistinguishedNames(root.certificate);
    const serialNumber = root.certificate.serialNumber.toLowerCase().replace(/^0+/, '');
    const key = async (of: Parameters<typeof encodeAuthorityKeyIdentifier>[0]) =>
      (await parsed({ extensions: [encodeAuthorityKeyIdentifier(of)] })).authorityKey;
    expect(await key({ keyId: '0a0b' })).toEqual({ keyId: '0a0b' });
    expect(await key({ of: root })).toEqual({ issuer, serialNumber });
    expect(await key({})).toEqual({});
    expect((await parsed()).authorityKey).toBeUndefined();
  });

  it('names its authority as a certificate does', async () => {
    const { issuer, subject } = readDistinguishedNames((await issue({}, root)).certificate);
    expect((await parsed()).issuer).toBe(issuer);
    expect(subject).not.toBe(issuer);
    expect(readDistinguishedNames(root.certificate)).toEqual({ issuer, subject: issuer });
  });

  it('names it as one of version 1 does, which does not state its version', () => {
    const [issuer, subject] = ['3001a0', '3001a1'].map((name) => Buffer.from(name, 'hex'));
    const [serial, sequence] = ['020101', '3000'].map((element) => Buffer.from(element, 'hex'));
    const members = [serial!, sequence!, issuer!, sequence!, subject!, sequence!];
    const raw = encodeElement(0x30, encodeElement(0x30, ...members), sequence!, Buffer.from('030100', 'hex'));
    expect(readDistinguishedNames({ raw } as X509Certificate)).toEqual({ issuer: '3001a0', subject: '3001a1' });
  });

  it('that is empty revokes nothing', async () => {
    const list = await parsed();
    expect([list.size, list.revokes('01'), list.revokes('')]).toEqual([0, false, false]);
  });

  it('is found in a file among others, and among other things', async () => {
    const lists = [1, 2, 3].map((number) => makeRevocationList(root, { number }));
    const file = `# of today\n${lists.join(`a remark\r\n${root.pem}\n`)}`;
    expect((await parseRevocationLists(file)).map(({ number }) => number)).toEqual([1n, 2n, 3n]);
    expect(await parseRevocationLists(file.replaceAll('\n', '\r\n'))).toHaveLength(3);
  });

  it('is not found in a file that holds none', async () => {
    expect(await parseRevocationLists('')).toEqual([]);
    expect(await parseRevocationLists(root.pem)).toEqual([]);
  });
});

describe('RFC 5280 §5.1.2.6: an entry', () => {
  it('revokes one certificate, and no other', async () => {
    const list = await parsed({ serials: ['5f3a', '0102'] });
    expect([list.size, list.revokes('5F3A'), list.revokes('5f3a'), list.revokes('0102')]).toEqual([
      2,
      true,
      true,
      true,
    ]);
    expect(['5f3b', '5f', '3a', '5f3a00', '', '00'].filter((serial) => list.revokes(serial))).toEqual([]);
  });

  it.each([
    ['00ff', 'FF'],
    ['00ff', '00FF'],
    ['0a', '0A'],
    ['0a', 'A'],
    ['00000a', '0a'],
    ['01', '0001'],
    ['00', '00'],
    ['00', '0'],
    ['0100', '0100'],
    ['fb', '-05'],
    ['ff00', '-0100'],
    ['80', '-80'],
  ])('of the octets %s is the certificate of the serial number %s', async (octets, serialNumber) => {
    expect((await parsed({ serials: [octets] })).revokes(serialNumber)).toBe(true);
  });

  it.each([
    ['fb', 'FB'],
    ['fb', '05'],
    ['00fb', '-05'],
    ['10', '01'],
    ['01', '10'],
  ])('of the octets %s is not the certificate of the serial number %s', async (octets, serialNumber) => {
    expect((await parsed({ serials: [octets] })).revokes(serialNumber)).toBe(false);
  });

  it.each(['80'.repeat(1), '00ff01', '7f', '40'.repeat(20)])(
    'of the octets %s is found by what a certificate says of itself',
    async (serialNumber) => {
      const { certificate } = await issue({ serialNumber }, root);
      const octets = serialNumber === '80' ? '0080' : serialNumber;
      expect((await parsed({ serials: [octets] })).revokes(certificate.serialNumber)).toBe(true);
    },
  );

  it('that releases a certificate from hold revokes nothing (§5.3.1 removeFromCRL)', async () => {
    const list = await parsed({ serials: ['01', '02'], removed: ['03'] });
    expect([list.size, list.revokes('01'), list.revokes('02'), list.revokes('03')]).toEqual([2, true, true, false]);
  });
});

describe('a list verifies for an authority', () => {
  const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]) };
  const keys: [string, KeyAlgorithm, ListProfile][] = [
    ['ECDSA P-256 with SHA-256', P256, {}],
    ['ECDSA P-256 with SHA-512', P256, { hash: 'sha512' }],
    ['ECDSA P-384 with SHA-384', { name: 'ECDSA', namedCurve: 'P-384' }, { hash: 'sha384' }],
    ['RSA with SHA-256', { ...rsa, hash: 'SHA-256' }, {}],
    ['RSA with SHA-384', { ...rsa, hash: 'SHA-256' }, { hash: 'sha384' }],
    ['RSA with SHA-512', { ...rsa, hash: 'SHA-256' }, { hash: 'sha512' }],
    ['Ed25519', { name: 'Ed25519' }, {}],
  ];

  it.each(keys)('that signs by %s', async (_, key, profile) => {
    const by = await issueAuthority({ key });
    const list = await parsed(profile, by);
    expect(await list.isSignedBy(by.certificate)).toBe(true);
    expect(await list.isSignedBy(by.certificate)).toBe(true);
    expect(await list.isSignedBy((await issueAuthority({ key })).certificate)).toBe(false);
  });

  it('only under its name: the same key under another one has not signed it', async () => {
    const renamed = await issueAuthority({ subject: 'CN=Other', keys: root.keys });
    expect(await (await parsed()).isSignedBy(renamed.certificate)).toBe(false);
  });

  it('with any edition of its certificate', async () => {
    const edition = await issueAuthority({ keys: root.keys });
    expect(await (await parsed()).isSignedBy(edition.certificate)).toBe(true);
  });

  it('by one verification', async () => {
    const list = await parsed();
    expect(list.isSignedBy(root.certificate)).toBe(list.isSignedBy(root.certificate));
  });

  it('only when it signed it, even if another one of the same name was asked before', async () => {
    const list = await parsed();
    const impostor = await issueAuthority();
    expect([await list.isSignedBy(root.certificate), await list.isSignedBy(impostor.certificate)]).toEqual([
      true,
      false,
    ]);
  });

  it('only as it was signed, to the last bit', async () => {
    const der = encodeList(root, { serials: ['0102'] });
    const at = der.indexOf(Buffer.from('02020102', 'hex'));
    der[at + 3]! ^= 1;
    const [list] = await parseRevocationLists(toListPem(der));
    expect([list!.revokes('0103'), await list!.isSignedBy(root.certificate)]).toEqual([true, false]);
  });
});

describe('a file is refused as a whole', () => {
  const der = (profile: ListProfile = {}): Buffer => encodeList(root, profile);
  const without = (hexadecimal: string, by: string): Buffer => {
    const bytes = der({ serials: ['0102'], number: 7 }).toString('hex');
    expect(bytes).toContain(hexadecimal);
    return Buffer.from(bytes.replace(hexadecimal, by), 'hex');
  };

  const [NUMBER, REASON] = [encodeElement(0x02, Buffer.from([1])), encodeElement(0x0a, Buffer.from([1]))];
  const ofEntry = (...entryExtensions: Buffer[]): string =>
    makeRevocationList(root, { serials: ['0102'], entryExtensions });

  it.each<[string, () => string, string]>([
    [
      'when its last list is cut off',
      () => (makeRevocationList(root) + makeRevocationList(root)).slice(0, -30),
      'cut off',
    ],
    ['when it is cut off in the middle of a list', () => makeRevocationList(root).slice(0, 200), 'cut off'],
    [
      'when a list is cut off and another one follows',
      () => makeRevocationList(root).slice(0, 200) + makeRevocationList(root),
      'cut off',
    ],
    ['when a list is garbage', () => toListPem(Buffer.from('no list')), 'it is not valid DER'],
    ['when a list is empty', () => toListPem(Buffer.alloc(1)), 'it is not valid DER'],
    ['when a list is a certificate', () => toListPem(root.certificate.raw), 'it is not valid DER'],
    [
      'when a list is followed by more',
      () => toListPem(Buffer.concat([der(), Buffer.from([0])])),
      'it is not valid DER',
    ],
    ['when a list is half', () => toListPem(der().subarray(0, 60)), 'it is not valid DER'],
    [
      'when a list lacks its signature',
      () => toListPem(encodeElement(0x30, Buffer.from('3000', 'hex'), Buffer.from('3000', 'hex'))),
      'it is not valid DER',
    ],
    [
      'when an entry’s serial number is not an integer',
      () => toListPem(without('02020102', '04020102')),
      'it is not valid DER',
    ],
    [
      'when an entry is longer than the entries',
      () => toListPem(without('02020102', '02840102')),
      'it is not valid DER',
    ],
    ['when an entry has no length', () => toListPem(without('02020102', '02800102')), 'it is not valid DER'],
    [
      'when its signature is by SHA-1',
      () => makeRevocationList(root, { hash: 'sha1' }),
      'its signature algorithm is unknown',
    ],
    [
      'when something stands behind its extensions',
      () => makeRevocationList(root, { tail: encodeElement(0xa1) }),
      'it is not valid DER',
    ],
    [
      'when it is a delta (§5.2.4)',
      () => makeRevocationList(root, { critical: '551d1b' }),
      'it is partial: it has a delta indicator',
    ],
    [
      'when it is a delta that is not marked critical',
      () => makeRevocationList(root, { extensions: [encodeExtension('551d1b', NUMBER)] }),
      'it is partial: it has a delta indicator',
    ],
    [
      'when it is one of several (§5.2.5)',
      () => makeRevocationList(root, { critical: '551d1c' }),
      'it is partial: it has an issuing distribution point',
    ],
    [
      'when it is one of several, not marked critical',
      () => makeRevocationList(root, { extensions: [encodeExtension('551d1c', encodeElement(0x30))] }),
      'it is partial: it has an issuing distribution point',
    ],
    [
      'when it has an unknown critical extension',
      () => makeRevocationList(root, { critical: '2b0601' }),
      'it may be partial: it has a critical extension',
    ],
    [
      'when an entry has a critical extension',
      () => ofEntry(encodeExtension('551d15', REASON), encodeExtension('2b0601', NUMBER, true)),
      'an entry has a critical extension',
    ],
    [
      'when the reason of an entry is critical',
      () => ofEntry(encodeExtension('551d15', REASON, true)),
      'an entry has a critical extension',
    ],
    [
      'when an entry is of another issuer (§5.3.3)',
      () => ofEntry(encodeExtension('551d1d', encodeElement(0x30))),
      'it is indirect: an entry names another issuer',
    ],
    ['when an entry’s serial number is empty', () => toListPem(without('02020102', '02000500')), 'it is not valid DER'],
    [
      'when its number is negative',
      () => toListPem(without('551d14040302010', '551d14040302018')),
      'it is not valid DER',
    ],
    [
      'when its time is malformed',
      () =>
        toListPem(
          Buffer.from(
            der()
              .toString('latin1')
              .replace(/\d{12}Z/, '260230120000z'),
            'latin1',
          ),
        ),
      'it is not valid DER',
    ],
    [
      'when its month is the thirteenth',
      () =>
        toListPem(
          Buffer.from(
            der()
              .toString('latin1')
              .replace(/\d{12}Z/, '261301120000Z'),
            'latin1',
          ),
        ),
      'it is not valid DER',
    ],
  ])('%s', async (_, file, told) => {
    await expect(parseRevocationLists(makeRevocationList(root) + file())).rejects.toThrow(told);
  });
});

describe('a large list', () => {
  it('is read in portions, so that requests are answered in between', async () => {
    const serials = Array.from({ length: 30_000 }, (_, index) => (0x40_00_00_00 + index).toString(16));
    const file = makeRevocationList(root, { serials });
    let turns = 0;
    const turn = (): void => {
      turns += 1;
      if (turns < 100) setImmediate(turn);
    };
    setImmediate(turn);
    const [list] = await parseRevocationLists(file);
    expect(list!.size).toBe(30_000);
    expect([serials[0]!, serials[29_999]!].map((serial) => list!.revokes(serial))).toEqual([true, true]);
    expect(list!.revokes((0x40_00_00_00 + 30_000).toString(16))).toBe(false);
    expect(turns).toBeGreaterThanOrEqual(6);
    expect(turns).toBeLessThan(100);
  });
});
