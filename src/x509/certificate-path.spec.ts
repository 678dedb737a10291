import 'reflect-metadata';
import type { X509Certificate } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { issue, type Issued, generateKeys, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { validatePath, describeCertificate } from './certificate-path.js';

const NOW = new Date();
const YESTERDAY = new Date(Date.now() - 86_400_000);
const TOMORROW = new Date(Date.now() + 86_400_000);
const WEAK_RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 1_024,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};

let root: Issued;
let intermediate: Issued;
let leaf: Issued;

beforeAll(async () => {
  root = await issue({ subject: 'CN=Root', ca: true });
  intermediate = await issue({ subject: 'CN=Intermediate', ca: true }, root);
  leaf = await issue({}, intermediate);
});

const certificates = (issued: Issued[]): X509Certificate[] => issued.map(({ certificate }) => certificate);

/** The subject of the anchor, or the reason why there is none. */
function verdictOf(chain: Issued[], anchors: Issued[], now = NOW): string {
  const verdict = validatePath(certificates(chain), certificates(anchors), now);
  return 'anchor' in verdict ? verdict.anchor.subject : verdict.cause;
}

describe('RFC 5280 §6.1: a certification path', () => {
  it.each<[string, () => Issued[], () => Issued[], string]>([
    ['a chain without its root', () => [leaf, intermediate], () => [root], 'CN=Root'],
    ['a chain with its root', () => [leaf, intermediate, root], () => [root], 'CN=Root'],
    ['an intermediate that is configured', () => [leaf], () => [intermediate], 'CN=Intermediate'],
    [
      'one that was sent too, and what is beyond',
      () => [leaf, intermediate, root],
      () => [intermediate],
      'CN=Intermediate',
    ],
    ['the attestation certificate itself', () => [leaf], () => [leaf], 'CN=Leaf'],
    [
      'the right one of several roots',
      () => [leaf, intermediate],
      () => [leaf, intermediate, root].reverse(),
      'CN=Root',
    ],
  ])('leads to %s', (_, chain, anchors, subject) => {
    expect(verdictOf(chain(), anchors())).toBe(subject);
  });

  describe('whose root was sent in another edition, because an anchor is a name and a key,', () => {
    const edition = (profile: Profile, by?: Issued) =>
      issue({ subject: 'CN=Root', ca: true, keys: root.keys, ...profile }, by);

    it('leads to the configured edition, though the one sent has expired', async () => {
      const expired = await edition({ notAfter: YESTERDAY });
      expect(verdictOf([leaf, intermediate, expired], [expired])).toMatch(
        /^"CN=Root" is not valid at this time: it ended at /,
      );
      expect(verdictOf([leaf, intermediate, expired], [expired, root])).toBe('CN=Root');
    });

    it('leads to the configured edition, though the one sent is cross-signed', async () => {
      const crossSigned = await edition({}, await issue({ subject: 'CN=Other', ca: true }));
      expect(verdictOf([leaf, intermediate, crossSigned], [root])).toBe('CN=Root');
    });
  });

  describe('does not exist', () => {
    const impostor = () => issue({ subject: 'CN=Root', ca: true });
    const through = async (profile: Profile, leafProfile: Profile = {}): Promise<Issued[]> => {
      const between = await issue({ subject: 'CN=Between', ca: true, ...profile }, root);
      return [await issue(leafProfile, between), between];
    };
    const nextTo = (profile: Profile): Promise<Issued[]> => issue(profile, root).then((issued) => [issued]);
    const unknownExtension = new x509.Extension('1.3.6.1.4.1.99999.1', true, new Uint8Array([5, 0]));
    const harmless = (value: number) => new x509.Extension('1.3.6.1.4.1.99999.2', false, new Uint8Array([2, 1, value]));
    const nameConstraints = new x509.Extension('2.5.29.30', true, new Uint8Array([0x30, 0]));

    it.each<[string, string | RegExp, () => Promise<Issued[]>]>([
      ['from nowhere', 'it does not end in a known root', () => Promise.resolve([])],
      ['from a leaf that signed itself', 'it does not end in a known root', () => issue().then((issued) => [issued])],
      [
        'from another root',
        'it does not end in a known root',
        async () => [await issue({}, await issue({ subject: 'CN=Other', ca: true }))],
      ],
      ['from a root of the same name', /did not issue|signature/, async () => [await issue({}, await impostor())]],
      [
        'from one of the same name that was sent too',
        /did not issue|signature/,
        async () => {
          const false1 = await impostor();
          return [await issue({}, false1), false1];
        },
      ],
      ['without the intermediate', 'it does not end in a known root', () => Promise.resolve([leaf])],
      ['in another order', 'it does not end in a known root', () => Promise.resolve([intermediate, leaf])],
      [
        'with a certificate twice',
        'a certificate appears twice',
        () => Promise.resolve([leaf, intermediate, intermediate]),
      ],
      [
        'with a foreign certificate between',
        /did not issue/,
        async () => [leaf, await issue({ subject: 'CN=Foreign', ca: true }, root)],
      ],
      ['with an expired leaf', /"CN=Leaf" is not valid/, () => nextTo({ notAfter: YESTERDAY })],
      [
        'with a leaf that is not valid yet',
        /"CN=Leaf" is not valid at this time: it begins at/,
        () => nextTo({ notBefore: TOMORROW }),
      ],
      ['with an expired intermediate', /"CN=Between" is not valid/, () => through({ notAfter: YESTERDAY })],
      [
        'through a certificate that is not an authority',
        '"CN=Between" is not a certificate authority',
        () => through({ ca: false }),
      ],
      [
        'through a certificate that is not an authority, though its key may sign',
        /not a certificate authority/,
        () => through({ ca: false, keyUsage: x509.KeyUsageFlags.keyCertSign }),
      ],
      [
        'through an authority whose key must not sign',
        /not a certificate authority|did not issue/,
        () => through({ keyUsage: x509.KeyUsageFlags.digitalSignature }),
      ],
      ['with SHA-1', /broken hash/, () => nextTo({ hash: 'SHA-1' })],
      ['with a short RSA key', 'an RSA key has 1024 bits', () => nextTo({ key: WEAK_RSA })],
      [
        'through an authority with an unknown critical extension',
        /1\.3\.6\.1\.4\.1\.99999\.1/,
        () => through({ extensions: [unknownExtension] }),
      ],
      ['with a leaf that has one', /1\.3\.6\.1\.4\.1\.99999\.1/, () => nextTo({ extensions: [unknownExtension] })],
      [
        'with a leaf that has an extension twice (§4.2)',
        '"CN=Leaf" has the extension 1.3.6.1.4.1.99999.2 twice',
        () => nextTo({ extensions: [harmless(1), harmless(2)] }),
      ],
      [
        'through an authority that has an extension twice (§4.2)',
        '"CN=Between" has the extension 1.3.6.1.4.1.99999.2 twice',
        () => through({ extensions: [harmless(1), harmless(1)] }),
      ],
      [
        'under name constraints, which are not processed',
        /2\.5\.29\.30/,
        () => through({ extensions: [nameConstraints] }),
      ],
      [
        'under another name than the issuer’s',
        'it does not end in a known root',
        () => nextTo({ issuer: 'CN=Nobody' }),
      ],
    ])('%s', async (_, cause, chain) => {
      expect(verdictOf(await chain(), [root])).toMatch(cause);
    });

    it('to a root that has expired', async () => {
      const old = await issue({ subject: 'CN=Old', ca: true, notAfter: YESTERDAY });
      expect(verdictOf([await issue({}, old)], [old])).toMatch(/^"CN=Old" is not valid at this time: it ended at /);
    });

    it('by a certificate without a subject, such as a TPM’s, which is named by its serial number', async () => {
      const chain = [await issue({ subject: '', serialNumber: '1234abcd', notAfter: YESTERDAY }, root)];
      expect(verdictOf(chain, [root])).toMatch(/^the certificate 1234ABCD is not valid at this time: it ended at /);
    });

    it('to a root that is not an authority, because a leaf of FIDO metadata signs nothing', async () => {
      const below = await issue({ subject: 'CN=Below' }, leaf);
      expect(verdictOf([below], [leaf])).toBe('"CN=Leaf" is not a certificate authority');
      expect(verdictOf([below, leaf], [leaf])).toBe('"CN=Leaf" is not a certificate authority');
    });

    it('without roots', () => {
      expect(verdictOf([leaf, intermediate, root], [])).toBe('it does not end in a known root');
    });
  });

  it('is valid at the time that the caller gives, not at the machine’s', async () => {
    const brief = await issue({ notAfter: TOMORROW }, root);
    expect(verdictOf([brief], [root])).toBe('CN=Root');
    expect(verdictOf([brief], [root], new Date(TOMORROW.getTime() + 1_000))).toMatch(
      /^"CN=Leaf" is not valid at this time: it ended at /,
    );
  });

  it('is valid in the first and the last second of its certificates', async () => {
    const top = await issue({ subject: 'CN=Lasting', ca: true, notBefore: new Date(0), notAfter: new Date(4e12) });
    const brief = await issue({}, top);
    const { validFromDate, validToDate } = brief.certificate;
    for (const at of [validFromDate, validToDate]) expect(verdictOf([brief], [top], at)).toBe('CN=Lasting');
  });

  describe('pathLenConstraint, §6.1.4 (l) and (m)', () => {
    const below = async (length: number, pathLength?: number, selfIssued = false): Promise<[Issued[], Issued]> => {
      const top = await issue({ subject: 'CN=Top', ca: true, ...(pathLength !== undefined && { pathLength }) });
      const chain = [top];
      for (let count = 0; count < length; count += 1) {
        const subject = selfIssued ? 'CN=Top' : `CN=Level ${String(count)}`;
        chain.unshift(await issue({ subject, ca: true, keys: await generateKeys() }, chain[0]));
      }
      return [[await issue({}, chain[0]), ...chain.slice(0, -1)], top];
    };

    it.each([
      ['no intermediate', 0, 0],
      ['one', 1, 1],
      ['any number', 5, undefined],
    ])('lets %s pass', async (_, length, pathLength) => {
      const [chain, top] = await below(length, pathLength);
      expect(verdictOf(chain, [top])).toBe('CN=Top');
    });

    it.each([
      [1, 0],
      [3, 2],
    ])('ends a path of %i intermediates when %i are allowed', async (length, pathLength) => {
      const [chain, top] = await below(length, pathLength);
      expect(verdictOf(chain, [top])).toBe('"CN=Top" allows no path of this length');
    });

    it('does not count self-issued certificates', async () => {
      const [chain, top] = await below(1, 0, true);
      expect(verdictOf(chain, [top])).toBe('CN=Top');
    });
  });
});

it.each([0, 1])('a subject that is cut at 200 characters (%i) does not end in half of a character', (shift) => {
  const subject = `CN=${'x'.repeat(shift)}${'😀'.repeat(200)}`;
  expect(describeCertificate({ subject } as X509Certificate).isWellFormed()).toBe(true);
});
