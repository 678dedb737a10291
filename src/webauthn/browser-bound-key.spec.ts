import { createHash, createPrivateKey } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { type CredentialKey, encodeCose, generateKey, signWith } from '../../test/support/authenticator/keys.js';
import { expectRefusal } from '../../test/support/pure-ceremonies.js';
import { answerPayment, type PaymentVariation, runPayment, withOutputs } from '../../test/support/pure-payments.js';
import { decodeWhole } from './cbor.js';
import { verifyPayment } from './verify-payment.js';

/*
 * No real device made these keys and signatures: they follow the specification (SPC §6). Chromium on a desktop with a
 * virtual authenticator makes none.
 */

type Attack = [what: string, variation: PaymentVariation];

const KEY = generateKey('ES256');
const OTHER = generateKey('ES256');

const refuses = (attacks: Attack[]): void => {
  it.each(attacks)('rejects %s: browser-key-invalid', (_, variation) =>
    expectRefusal(runPayment({ browserKey: KEY, ...variation }), 'browser-key-invalid'),
  );
};

/** Signs the payment with another value for the key of the browser. */
const key = (value: unknown): PaymentVariation => ({
  shown: (honest) => ({ ...honest, browserBoundPublicKey: value }),
});
const cose = (bytes: Buffer): PaymentVariation => key(bytes.toString('base64url'));
const changed = (label: number, value: unknown): PaymentVariation => {
  const members = new Map(decodeWhole(KEY.cose, 'key') as Map<number, unknown>);
  return cose(encodeCose(members.set(label, value)));
};
const outputs = (value: object): PaymentVariation => ({ altered: (answer) => withOutputs(answer, value) });
const signature = (value: unknown): PaymentVariation =>
  outputs({ payment: { browserBoundSignature: { signature: value } } });
const resigned = (change: (bytes: Buffer) => Buffer): PaymentVariation => ({
  altered: (answer) => {
    const signed = signWith(KEY, Buffer.from(answer.response.clientDataJSON, 'base64url'));
    const value = change(signed).toString('base64url');
    return withOutputs(answer, { payment: { browserBoundSignature: { signature: value } } });
  },
});

describe('SPC §9.1 Verifying an Authentication Assertion', () => {
  describe('SPC §6.4: the browser-bound public key is a COSE_Key', () => {
    it.each(['ES256', 'RS256'] as const)('accepts a key for %s', async (algorithm) => {
      const browserKey = generateKey(algorithm);
      const { browserBoundKey } = await runPayment({ browserKey });
      expect(browserBoundKey?.publicKey).toEqual(browserKey.cose);
    });
    it('accepts a browser without such a key', async () => {
      expect(await runPayment()).toMatchObject({ browserBoundKey: undefined });
    });
    it('accepts a browser that writes null for the signature of a key that it lacks', async () => {
      const nothing = outputs({ payment: { browserBoundSignature: null } });
      expect(await runPayment(nothing)).toMatchObject({ browserBoundKey: undefined });
    });
    refuses([
      ['a signature without a key', key(undefined)],
      ['a key that is null', key(null)],
      ['a key that is a list', key([])],
      ['an empty key', key('')],
      ['a key in base64 with padding', key(`${KEY.cose.toString('base64url')}=`)],
      ['a key with a byte behind it', cose(Buffer.concat([KEY.cose, Buffer.of(0)]))],
      ['a key that lacks its last byte', cose(KEY.cose.subarray(0, -1))],
      ['a list instead of a key', cose(Buffer.from(encode([1, 2])))],
      ['a SubjectPublicKeyInfo', cose(KEY.spki)],
      ['a key with another member', changed(2, Buffer.from('id'))],
      ['a key of another type', changed(1, 3)],
      ['a key for another algorithm', changed(3, -35)],
      ['a key on another curve', changed(-1, 2)],
      ['a point that is not on the curve', changed(-3, Buffer.alloc(32, 1))],
      ['a compressed point', changed(-3, true)],
    ]);
    it('rejects a key that zeros make too long: browser-key-invalid', () => {
      const rsa = generateKey('RS256');
      const members = decodeWhole(rsa.cose, 'key') as Map<number, Buffer>;
      const padded = encodeCose(new Map(members).set(-1, Buffer.concat([Buffer.alloc(5_000), members.get(-1)!])));
      return expectRefusal(runPayment({ browserKey: { ...rsa, cose: padded } }), 'browser-key-invalid');
    });
    it.each(['EdDSA', 'ES384', 'PS256', 'ML-DSA-44'] as const)(
      'rejects a key for %s: browser-key-invalid',
      (algorithm) => expectRefusal(runPayment({ browserKey: generateKey(algorithm) }), 'browser-key-invalid'),
    );
  });

  describe('SPC §6.5: its signature over the raw client data', () => {
    refuses([
      ['a key without a signature', outputs({})],
      ['extension outputs without a signature', outputs({ payment: {} })],
      ['a signature that is no object', outputs({ payment: { browserBoundSignature: 'AAAA' } })],
      ['a signature of null', outputs({ payment: { browserBoundSignature: null } })],
      ['an empty object', outputs({ payment: { browserBoundSignature: {} } })],
      ['a signature that is a number', signature(1)],
      ['an empty signature', signature('')],
      ['a signature that is not base64url', signature('MEUC+')],
      ['a signature by another key', resigned(() => signWith(OTHER, Buffer.from('anything')))],
      ['a signature with a byte behind it', resigned((bytes) => Buffer.concat([bytes, Buffer.of(0)]))],
      ['a signature cut short', resigned((bytes) => bytes.subarray(0, -1))],
      ['r and s without DER', resigned(() => Buffer.alloc(64, 1))],
      ['a length that is longer than needed', resigned((bytes) => withLongLength(bytes))],
    ]);
    const withLongLength = (der: Buffer) => Buffer.concat([Buffer.of(0x30, 0x81), der.subarray(1)]);
    it('says that the signature is missing', async () => {
      const detail = 'there is no browserBoundSignature by the key';
      const clause = 'SPC §6.5';
      await expect(runPayment({ browserKey: KEY, ...outputs({}) })).rejects.toMatchObject({ detail, clause });
    });
    it('rejects a signature over the hash of the client data: browser-key-invalid', () => {
      const altered: PaymentVariation['altered'] = (answer) => {
        const hashed = createHash('sha256').update(answer.response.clientDataJSON, 'base64url').digest();
        const value = signWith(KEY, hashed).toString('base64url');
        return withOutputs(answer, { payment: { browserBoundSignature: { signature: value } } });
      };
      return expectRefusal(runPayment({ browserKey: KEY, altered }), 'browser-key-invalid');
    });
    it('rejects the signature of another payment: browser-key-invalid', () => {
      const { answer, expected } = answerPayment({ browserKey: KEY });
      const { clientExtensionResults } = answerPayment({ browserKey: KEY }).answer;
      const mixed = Promise.resolve().then(() => verifyPayment({ ...answer, clientExtensionResults }, expected));
      return expectRefusal(mixed, 'browser-key-invalid');
    });
    it('is looked at only after the passkey’s own', () =>
      expectRefusal(
        runPayment({ browserKey: KEY, ...outputs({}), interference: { signature: () => Buffer.alloc(8) } }),
        'signature-invalid',
      ));
    it('ignores other extension outputs', () => {
      const altered: PaymentVariation['altered'] = (answer) =>
        withOutputs(answer, { ...answer.clientExtensionResults, appid: true, unheardOf: [] });
      return runPayment({ browserKey: KEY, altered });
    });
    it.each([undefined, null, [], 'text', { payment: null }, { payment: [] }])(
      'takes %j as no extension output',
      (value) => runPayment(outputs(value as never)),
    );
  });
});

describe('the thumbprint of a browser-bound key', () => {
  /** The key of RFC 9679 §6. Its private part is in RFC 8152 Appendix C.7.2. */
  const [x, y, d] = [
    '65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d',
    '1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c',
    'aff907c99f9ad3aae6c4cdf21122bce2bd68b5283e6907154ad911840fa208cf',
  ].map((number) => Buffer.from(number, 'hex'));
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: x!.toString('base64url'),
    y: y!.toString('base64url'),
    d: d!.toString('base64url'),
  };
  const key9679: CredentialKey = {
    ...KEY,
    privateKey: createPrivateKey({ key: jwk, format: 'jwk' }),
    // A map of five members: 1: 2, 3: -7, -1: 1, -2: x, -3: y.
    cose: Buffer.concat([Buffer.from('a5010203262001215820', 'hex'), x!, Buffer.from('225820', 'hex'), y!]),
  };
  // The same members in another order.
  const cose = Buffer.concat([
    Buffer.from('a5225820', 'hex'),
    y!,
    Buffer.from('215820', 'hex'),
    x!,
    Buffer.from('200103260102', 'hex'),
  ]);

  it.each<[string, CredentialKey]>([
    ['is that of RFC 9679', key9679],
    ['does not depend on the order of members', { ...key9679, cose }],
  ])('%s', async (_, browserKey) => {
    const { browserBoundKey } = await runPayment({ browserKey });
    expect(browserBoundKey?.publicKey).toEqual(browserKey.cose);
    expect(browserBoundKey?.thumbprint.toString('hex')).toBe(
      '496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec',
    );
  });

  it('has the modulus and the exponent of an RSA key', async () => {
    const browserKey = generateKey('RS256');
    const rsa = decodeWhole(browserKey.cose, 'key') as Map<number, unknown>;
    const required = new Map<number, unknown>([
      [1, 3],
      [-1, rsa.get(-1)],
      [-2, rsa.get(-2)],
    ]);
    const { browserBoundKey } = await runPayment({ browserKey });
    expect(browserBoundKey?.thumbprint).toEqual(createHash('sha256').update(encode(required)).digest());
  });
});
