import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, NOTHING_TO_VERIFY } from '../../test/support/pure-ceremonies.js';
import {
  answerPayment,
  PAYMENT,
  type PaymentVariation,
  RP_ID,
  runPayment,
  SHOP,
} from '../../test/support/pure-payments.js';
import type { Reason } from './refusal.js';
import { verifyPayment } from './verify-payment.js';

type Attack = [what: string, variation: PaymentVariation];
type Shown = Record<string, unknown>;

const refuses = (reason: Reason, attacks: Attack[]): void => {
  it.each(attacks)(`rejects %s: ${reason}`, (_, variation) => expectRefusal(runPayment(variation), reason));
};

const quote = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));
const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');
const PSP = 'https://psp.example';
const FRAMED = { origin: PSP, crossOrigin: true, topOrigin: SHOP };
const IN_FRAME = { callerOrigins: [PSP], topOrigins: [SHOP, 'https://other.example'] };

describe('SPC §9.1 Verifying an Authentication Assertion', () => {
  let network: ClosedNetwork;
  beforeAll(() => {
    network = new ClosedNetwork();
  });
  afterEach(() => {
    expect(network.attempts).toEqual([]);
  });
  afterAll(() => {
    network.open();
  });

  describe('§7.2 step 5: the credential is one that was sent to the caller', () => {
    it('is asked of the sealed challenge and the database', NOTHING_TO_VERIFY);
  });

  describe('§7.2 step 6: the credential is the one that was looked up', () => {
    refuses('credential-id-invalid', [
      ['an id that is not that of the credential', { interference: { credential: { id: 'AAAA', rawId: 'AAAA' } } }],
      ['an id that is not the rawId', { interference: { credential: { id: 'AAAA' } } }],
    ]);
  });

  describe('§7.2 step 7: client data, authenticator data and signature', () => {
    refuses('malformed', [
      ['authenticator data that is not base64url', { interference: { response: { authenticatorData: 'ab+/' } } }],
      ['a signature that is not base64url', { interference: { response: { signature: 'MEUC\n' } } }],
      ['authenticator data of 36 bytes', { interference: { authenticatorData: (bytes) => bytes.subarray(0, 36) } }],
    ]);
  });

  describe('§7.2 step 8: UTF-8 decode the client data', () => {
    refuses('malformed', [
      ['client data that is not base64url', { interference: { response: { clientDataJSON: 'e30=' } } }],
      ['bytes that are not UTF-8', { interference: { clientDataJson: hex('7b2261223a22ff227d') } }],
    ]);
  });

  describe('§7.2 step 9: parse it as JSON', () => {
    const twice = (text: string) => ({ interference: { clientDataJson: text } });
    refuses('malformed', [
      ['no JSON', twice('{')],
      ['a list', twice('[]')],
      ['a member twice', twice('{"type":"webauthn.get","type":"payment.get"}')],
      ['payment twice', twice('{"type":"payment.get","payment":{},"payment":{}}')],
      ['a total twice', twice('{"type":"payment.get","payment":{"total":{},"total":{}}}')],
      ['a value twice', twice('{"type":"payment.get","payment":{"total":{"value":"1","v\\u0061lue":"2"}}}')],
      ['crossOrigin that is text', { interference: { clientData: { crossOrigin: 'false' } } }],
    ]);
    it('ignores members that it does not know, wherever they are', async () => {
      const unknown = { other_keys_can_be_added_here: 'do not compare clientDataJSON against a template' };
      const shown = (honest: Shown) => ({
        ...unknown,
        ...honest,
        total: { ...unknown, ...(honest['total'] as object) },
        instrument: { ...(honest['instrument'] as object), ...unknown },
      });
      const interference = { clientData: unknown };
      expect(await runPayment({ shown, interference })).toMatchObject({ payment: PAYMENT });
    });
    it('does not care for the order of members', async () => {
      const reversed = (value: object) => Object.fromEntries(Object.entries(value).reverse());
      const shown = (honest: Shown) => reversed({ ...honest, total: reversed(honest['total'] as object) });
      const clientDataJson = (honest: string) => JSON.stringify(reversed(JSON.parse(honest) as object));
      expect(await runPayment({ shown, interference: { clientDataJson } })).toMatchObject({ payment: PAYMENT });
    });
  });

  describe('§7.2 step 10 (SPC §9.1 step 2.2): the type is payment.get', () => {
    const types = ['webauthn.get', 'webauthn.create', 'payment.create', 'Payment.get', '', undefined, null];
    refuses(
      'type-mismatch',
      [...types, ['payment.get']].map((type): Attack => [quote(type), { interference: { clientData: { type } } }]),
    );
  });

  describe('§7.2 step 11 (SPC §9.1 step 2.3): the challenge is the one that was issued', () => {
    refuses(
      'challenge-mismatch',
      ['AAAA', '', undefined, null, 1].map((challenge): Attack => [
        quote(challenge),
        { interference: { clientData: { challenge } } },
      ]),
    );
    refuses('challenge-mismatch', [['an answer to another one', { expected: { challenge: Buffer.alloc(32) } }]]);
  });

  describe('§7.2 step 12 (SPC §9.1 step 2.4): the origin is one that may call the browser', () => {
    const origins = [`https://${RP_ID}`, `${SHOP}:8443`, `${SHOP}/`, 'http://shop.example', 'null', undefined, [SHOP]];
    refuses(
      'origin-mismatch',
      origins.map((origin): Attack => [quote(origin), { interference: { clientData: { origin } } }]),
    );
    refuses('origin-mismatch', [['any origin where none may call', { expected: { callerOrigins: [] } }]]);
    it('accepts one of several, and returns it', async () => {
      const expected = { callerOrigins: [PSP, SHOP] };
      expect(await runPayment({ expected })).toMatchObject({ callerOrigin: SHOP });
    });
  });

  describe('§7.2 steps 13 and 14: cross-origin and the top origin', () => {
    const framed = { ...IN_FRAME, topOrigins: undefined };
    refuses('cross-origin-denied', [
      ['a frame where none is expected', { interference: { clientData: FRAMED }, expected: framed }],
      ['a frame of another page', { interference: { clientData: { ...FRAMED, topOrigin: PSP } }, expected: IN_FRAME }],
      [
        'a frame of an unknown page',
        { interference: { clientData: { ...FRAMED, topOrigin: undefined } }, expected: IN_FRAME },
      ],
      ['a top origin without a frame', { interference: { clientData: { topOrigin: SHOP } } }],
    ]);
  });

  describe('§7.2 step 15: the RP ID', () => {
    refuses(
      'rp-id-mismatch',
      ['shop.example', SHOP, ''].map((rpId): Attack => [quote(rpId), { interference: { rpId } }]),
    );
  });

  describe('§7.2 step 16: user presence', () => {
    refuses('user-presence-missing', [['a payment without UP', { interference: { flags: { UP: false } } }]]);
  });

  describe('§7.2 step 17: user verification, always', () => {
    refuses('user-verification-missing', [['a payment without UV', { interference: { flags: { UV: false } } }]]);
  });

  describe('§7.2 steps 18 and 19: backup eligibility and state', () => {
    const single = { backupEligible: false, backedUp: false };
    refuses('backup-flags-invalid', [['BS without BE', { interference: { flags: { BE: false } } }]]);
    refuses('backup-eligibility-changed', [
      ['eligibility that was lost', { interference: { flags: { BE: false, BS: false } } }],
      ['eligibility that was gained', { model: single, interference: { flags: { BE: true } } }],
    ]);
    it('accepts eligibility that was gained, if the policy does', async () => {
      const interference = { flags: { BE: true } };
      const accepted = await runPayment({ model: single, interference, expected: { allowBackupGrowth: true } });
      expect(accepted).toMatchObject({ backupEligible: true, backedUp: false });
    });
  });

  describe('§7.2 steps 20 and 21: the signature over authenticator data and client data hash', () => {
    const flipped = (bytes: Buffer) =>
      Buffer.from(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)));
    refuses('signature-invalid', [
      ['no signature', { interference: { response: { signature: '' } } }],
      ['a bit of the signature turned', { interference: { signature: flipped } }],
      ['a signature with a byte behind it', { interference: { signature: (s) => Buffer.concat([s, hex('00')]) } }],
      [
        'a payment that was not signed',
        {
          altered: (answer) => {
            const text = Buffer.from(answer.response.clientDataJSON, 'base64url').toString().replace('{', '{ ');
            return {
              ...answer,
              response: { ...answer.response, clientDataJSON: Buffer.from(text).toString('base64url') },
            };
          },
        },
      ],
    ]);
    it.each(['ES256', 'EdDSA', 'RS256', 'ML-DSA-44'] as const)('accepts a passkey with %s', (algorithm) =>
      runPayment({ model: { algorithm } }),
    );
  });

  describe('§7.2 step 22: the sign count', () => {
    it.each([0, 1, 4_294_967_295])('is reported, not judged: %i', async (signCount) => {
      expect(await runPayment({ interference: { signCount } })).toMatchObject({ signCount });
    });
  });
});

describe('a verified payment', () => {
  it('says what the browser showed, to the letter', async () => {
    const { payment } = await runPayment();
    expect(payment).toEqual({ ...PAYMENT, rpId: RP_ID, topOrigin: SHOP });
  });

  it('has the digests of what was signed, so that it can be shown later', () => {
    const { answer, expected } = answerPayment();
    const { clientDataJSON, authenticatorData, signature } = answer.response;
    const digest = (encoded: string) => createHash('sha256').update(encoded, 'base64url').digest();
    expect(verifyPayment(answer, expected).hashes).toEqual({
      clientData: digest(clientDataJSON),
      authenticatorData: digest(authenticatorData),
      signature: digest(signature),
    });
  });
});
