import 'reflect-metadata';
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ParserMeter } from '../../test/support/asn1-parsers.js';
import { packedBy } from '../../test/support/authenticator/attestation.js';
import { issue, type Issued, type Profile } from '../../test/support/authenticator/certificate-chain.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import { demandBoundedKey, readBoundedChain } from './certificate-bounds.js';
import type { Refusal } from './refusal.js';

const OCTET_STRING = 0x04;
const SEQUENCE = 0x30;
const NULLS = (count: number): Buffer => Buffer.concat(Array<Buffer>(count).fill(Buffer.from([5, 0])));

const der = (tag: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.from([tag, 0x82, content.length >> 8, content.length & 0xff]), content]);
const extension = (value: Buffer, index = 0): x509.Extension =>
  new x509.Extension(`1.2.${String(index)}`, false, value);
const extensions = (count: number): x509.Extension[] =>
  Array.from({ length: count }, (_, at) => extension(NULLS(1), at));

/** The subject that WebAuthn L3 §8.2.1 demands. */
const SUBJECT = 'CN=Model One, OU=Authenticator Attestation, O=Example, C=XX';
const SOME = 1_000;

/** Makes costly certificates that a parser accepts. Two of the extensions are always there. */
const COSTLY: [what: string, detail: string, profile: Profile][] = [
  ['8,193 bytes', 'bytes', { extensions: [extension(Buffer.alloc(8_193))] }],
  ['65 extensions', '65 extensions', { extensions: extensions(63) }],
  ['many names in the subject', 'elements', { subject: `${'OU=a,'.repeat(200)}${SUBJECT}` }],
  [
    'many alternative names',
    'elements',
    {
      extensions: [new x509.Extension('2.5.29.17', false, der(SEQUENCE, Buffer.alloc(2 * SOME, '\x82\x00', 'latin1')))],
    },
  ],
  ['an extension of many elements', 'elements', { extensions: [extension(der(SEQUENCE, NULLS(SOME)))] }],
  [
    'many elements in a string in a string',
    'elements',
    { extensions: [extension(der(OCTET_STRING, der(OCTET_STRING, NULLS(SOME))))] },
  ],
  [
    'many elements in a bit string',
    'elements',
    { extensions: [extension(der(0x03, Buffer.concat([Buffer.alloc(1), NULLS(SOME)])))] },
  ],
  [
    'many elements of an indefinite length',
    'elements',
    { extensions: [extension(Buffer.concat([Buffer.from([SEQUENCE, 0x80]), NULLS(SOME), Buffer.alloc(2)]))] },
  ],
  [
    'many elements and bytes that are not elements',
    'elements',
    { extensions: [extension(Buffer.concat([der(SEQUENCE, NULLS(SOME)), Buffer.from([1])]))] },
  ],
  [
    'many elements under long tags',
    'elements',
    { extensions: [extension(Buffer.concat(Array<Buffer>(SOME).fill(Buffer.from([0xbf, 0x84, 0x58, 0]))))] },
  ],
  [
    'deep elements',
    'elements',
    {
      extensions: [
        extension(Array.from({ length: SOME }).reduce<Buffer>((inner) => der(SEQUENCE, inner), Buffer.alloc(0))),
      ],
    },
  ],
];

const attestedBy = (chain: Issued[], root: Issued) => {
  const x5c = chain.map(({ certificate }) => certificate.raw);
  const attestation = packedBy({ chain: x5c, privateKey: chain[0]!.privateKey });
  return runRegistration({ interference: { attestation }, expected: { roots: () => [root.pem] } });
};

describe('the cost of x5c is bounded:', () => {
  let meter: ParserMeter;
  beforeEach(() => {
    meter = new ParserMeter();
  });
  afterEach(() => {
    meter.stop();
  });

  it.each(COSTLY)('a certificate with %s is refused before any parser reads it', async (_, detail, profile) => {
    const costly = await issue({ subject: SUBJECT, ...profile });
    meter.parsed.length = 0;
    expect(() => readBoundedChain([costly.certificate.raw])).toThrow(detail);
    await expectRefusal(attestedBy([costly], costly), 'attestation-invalid');
    expect(meter.parsed).toEqual([]);
  });

  it('certificates that are too large together are refused before any parser reads them', async () => {
    const large = await issue({ subject: SUBJECT, extensions: extensions(62) });
    meter.parsed.length = 0;
    await expectRefusal(attestedBy([large, large, large, large], large), 'attestation-invalid');
    expect(meter.parsed).toEqual([]);
  });

  it('a certificate at the limits is accepted, and parsed once', async () => {
    const root = await issue({ subject: 'CN=Root', ca: true });
    const leaf = await issue({ subject: SUBJECT, extensions: extensions(62) }, root);
    meter.parsed.length = 0;
    expect(await attestedBy([leaf, root], root)).toMatchObject({ attestation: { trust: 'trusted' } });
    expect(meter.parsed.filter((bytes) => bytes === leaf.certificate.raw.length)).toHaveLength(1);
    expect(meter.parsed.filter((bytes) => bytes === root.certificate.raw.length)).toHaveLength(1);
  });

  it('the certificates above the leaf are not parsed when no root has signed them', async () => {
    const root = await issue({ subject: 'CN=Root', ca: true });
    const impostor = await issue({ subject: 'CN=Impostor', issuer: 'CN=Root', ca: true });
    const intermediate = await issue({ subject: 'CN=Intermediate', ca: true }, impostor);
    const chain = [await issue({ subject: SUBJECT }, intermediate), intermediate, impostor];
    meter.parsed.length = 0;
    const { attestation } = await attestedBy(chain, root);
    expect(attestation).toMatchObject({
      trust: 'untrusted',
      distrust: { code: 'path-invalid', detail: 'the signature of "CN=Impostor" is not valid' },
    });
    expect(meter.parsed).not.toContain(impostor.certificate.raw.length);
    expect(meter.parsed).not.toContain(intermediate.certificate.raw.length);
  });
});

describe('x5c', () => {
  it('that is cut short or altered is measured or refused', async () => {
    const { certificate } = await issue({ extensions: extensions(5) });
    for (let at = 0; at < 60; at += 1) {
      const altered = Buffer.from(certificate.raw);
      altered[at] = 0xff;
      for (const bytes of [certificate.raw.subarray(0, at), altered, randomBytes(at + 1)]) {
        expect([[bytes], 'attestation-invalid']).toContainEqual(outcomeOf([bytes]));
      }
    }
  });
});

function outcomeOf(x5c: Buffer[]): unknown {
  try {
    return readBoundedChain(x5c);
  } catch (error) {
    return (error as Refusal).reason;
  }
}

describe('the key of a certificate', () => {
  const rsa = (bits: number, exponent: Buffer): KeyObject => {
    const modulus = randomBytes(bits / 8);
    modulus[0]! |= 0x80;
    const [n, e] = [modulus.toString('base64url'), exponent.toString('base64url')];
    return createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' });
  };
  const DSA = generateKeyPairSync('dsa', { modulusLength: 1_024, divisorLength: 160 }).publicKey;

  it.each<[string, KeyObject]>([
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey],
    ['Ed25519', generateKeyPairSync('ed25519').publicKey],
    ['RSA with 4,096 bits', rsa(4_096, Buffer.from([1, 0, 1]))],
    ['RSA with an exponent of 32 bits', rsa(2_048, Buffer.from('ffffffff', 'hex'))],
  ])('may be of %s', (_, key) => {
    expect(() => {
      demandBoundedKey(key);
    }).not.toThrow();
  });

  it.each<[string, KeyObject]>([
    ['DSA', DSA],
    ['RSA with 4,104 bits', rsa(4_104, Buffer.from([1, 0, 1]))],
    ['RSA with an exponent of 33 bits', rsa(2_048, Buffer.from('0100000001', 'hex'))],
    ['RSA with an exponent as long as the modulus', rsa(3_072, Buffer.alloc(383, 0xff))],
  ])('is refused when a signature by it costs too much: %s', (_, key) => {
    expect(() => {
      demandBoundedKey(key);
    }).toThrow('attestation-invalid');
  });
});

describe('the extensions of a certificate of x5c', () => {
  const oid = Buffer.from([0x06, 2, 0x2a, 3]);
  const content = Buffer.concat([oid, Buffer.from([OCTET_STRING, 0])]);
  const whole = der(SEQUENCE, content);
  const indefinite = Buffer.concat([Buffer.from([SEQUENCE, 0x80]), content, Buffer.alloc(2)]);
  const withExtensions = (...each: Buffer[]) => [
    der(SEQUENCE, der(SEQUENCE, der(0xa3, der(SEQUENCE, Buffer.concat(each))))),
  ];

  it('occur once each', () => {
    expect(readBoundedChain(withExtensions(whole))).toHaveLength(1);
    const twice = expect.objectContaining({ detail: 'x5c[0] has an extension twice' });
    expect(() => readBoundedChain(withExtensions(whole, whole))).toThrow(twice);
  });

  it('are in DER, because one of an indefinite length could hide those behind it', () => {
    const unread = expect.objectContaining({ detail: 'x5c[0] is not a certificate in DER' });
    expect(() => readBoundedChain(withExtensions(indefinite, whole))).toThrow(unread);
  });
});
