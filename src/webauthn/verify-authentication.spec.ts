import { createHash, sign } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { AssertionInterference } from '../../test/support/authenticator/interference.js';
import { generateKey, signWith } from '../../test/support/authenticator/keys.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import {
  runAuthentication,
  expectRefusal,
  NOTHING_TO_VERIFY,
  ODD_OUTPUTS,
  ORIGIN,
} from '../../test/support/pure-ceremonies.js';
import type { Reason } from './refusal.js';
import type { AuthenticationExpectation } from './verify-authentication.js';

type Attack = [what: string, interference: AssertionInterference];

const refuses = (reason: Reason, attacks: Attack[], expected: Partial<AuthenticationExpectation> = {}): void => {
  it.each(attacks)(`rejects %s: ${reason}`, (_, interference) =>
    expectRefusal(runAuthentication({ interference, expected }), reason),
  );
};

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');
const quoteReceived = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));
const flipBit = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at]! ^= 1;
  return copy;
};

describe('WebAuthn L3 §7.2 Verifying an Authentication Assertion', () => {
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

  describe('steps 1 to 4: the options, the call and the kind of response', () => {
    it('are the caller’s and the client’s: options.spec.ts, and the DTO of the answer', NOTHING_TO_VERIFY);
  });

  describe('steps 5 and 6: the credential is one that was allowed, and its user’s', () => {
    const other = Buffer.alloc(32, 1).toString('base64url');
    refuses('credential-id-invalid', [
      ['an id that is not that of the credential looked up', { credential: { id: other, rawId: other } }],
      ['an id that is not the rawId', { credential: { id: other } }],
      ['a rawId that is not the id', { credential: { rawId: other } }],
      ['no id', { credential: { id: undefined, rawId: undefined } }],
      ['empty ids', { credential: { id: '', rawId: '' } }],
    ]);
    it('who the user is, verify-credential.ts asks the database', NOTHING_TO_VERIFY);
  });

  describe('step 7: client data, authenticator data and signature', () => {
    refuses('malformed', [
      ['client data that is not base64url', { response: { clientDataJSON: 'e30=' } }],
      ['authenticator data that is not base64url', { response: { authenticatorData: 'ab+/' } }],
      ['authenticator data with stray bits', { response: { authenticatorData: 'AB' } }],
      ['a signature that is not base64url', { response: { signature: 'MEUC\n' } }],
      ['authenticator data of 36 bytes', { authenticatorData: (bytes) => bytes.subarray(0, 36) }],
      ['authenticator data with a byte too many', { authenticatorData: (bytes) => Buffer.concat([bytes, hex('00')]) }],
      ['the flag AT without attested credential data', { flags: { AT: true } }],
      ['the flag ED without extensions', { flags: { ED: true } }],
    ]);
  });

  describe('steps 8 and 9: decode and parse the client data', () => {
    refuses('malformed', [
      [
        'bytes that are not UTF-8',
        { clientDataJson: Buffer.concat([Buffer.from('{"a":"'), hex('ff'), Buffer.from('"}')]) },
      ],
      ['no JSON', { clientDataJson: '{' }],
      ['a list', { clientDataJson: '[]' }],
      ['null', { clientDataJson: 'null' }],
      ['a member twice', { clientDataJson: '{"type":"webauthn.create","type":"webauthn.get"}' }],
      [
        'a member twice, once with escapes',
        { clientDataJson: '{"type":"webauthn.create","t\\u0079pe":"webauthn.get"}' },
      ],
    ]);
  });

  describe('step 10: the type is webauthn.get', () => {
    const types = ['webauthn.create', 'payment.get', 'Webauthn.get', '', undefined, null, ['webauthn.get']];
    refuses(
      'type-mismatch',
      types.map((type): Attack => [quoteReceived(type), { clientData: { type } }]),
    );
  });

  describe('step 11: the challenge is the one that was issued', () => {
    const challenges = ['AAAA', '', undefined, null, ['AAAA']];
    refuses(
      'challenge-mismatch',
      challenges.map((challenge): Attack => [quoteReceived(challenge), { clientData: { challenge } }]),
    );
    refuses('challenge-mismatch', [['an answer to another one', {}]], { challenge: Buffer.alloc(32) });
  });

  describe('step 12: the origin is one of the relying party', () => {
    const origins = ['http://login.example.com', `${ORIGIN}:8443`, `${ORIGIN}/`, `${ORIGIN}.`, 'https://example.com'];
    refuses(
      'origin-mismatch',
      [...origins, undefined, [ORIGIN]].map((origin): Attack => [quoteReceived(origin), { clientData: { origin } }]),
    );
  });

  describe('steps 13 and 14: cross-origin and the top origin', () => {
    const crossOrigin = { allow: true, topOrigins: ['https://shop.example'] };
    refuses('cross-origin-denied', [
      ['a cross-origin ceremony without a top origin', { clientData: { crossOrigin: true } }],
      ['one with a top origin', { clientData: { crossOrigin: true, topOrigin: 'https://shop.example' } }],
      ['a top origin alone', { clientData: { topOrigin: 'https://shop.example' } }],
    ]);
    it.each([[crossOrigin], [{ allow: true, topOrigins: [] }]])('accepts what the policy %j allows', (policy) =>
      runAuthentication({
        interference: { clientData: { crossOrigin: true, topOrigin: 'https://shop.example' } },
        expected: { crossOrigin: policy },
      }),
    );
    it('has one policy for both ceremonies: client-data.spec.ts', NOTHING_TO_VERIFY);
  });

  describe('step 15: the RP ID', () => {
    const rpIds = ['example.com', 'evil.example', ORIGIN, ''];
    refuses(
      'rp-id-mismatch',
      rpIds.map((rpId): Attack => [`"${rpId}"`, { rpId }]),
    );
  });

  describe('step 16: user presence', () => {
    refuses('user-presence-missing', [['an assertion without UP', { flags: { UP: false } }]]);
    refuses('user-presence-missing', [['one that nobody needs to verify, too', { flags: { UP: false } }]], {
      requireUserVerification: false,
    });
  });

  describe('step 17: user verification', () => {
    refuses('user-verification-missing', [['an assertion without UV where it is required', { flags: { UV: false } }]]);
    it.each([true, false])('is reported when it is not required: %s', async (userVerified) => {
      const interference = { flags: { UV: userVerified } };
      const expected = { requireUserVerification: false };
      expect(await runAuthentication({ interference, expected })).toMatchObject({ userVerified });
    });
  });

  describe('steps 18 and 19: backup eligibility and state', () => {
    refuses('backup-flags-invalid', [['BS without BE', { flags: { BE: false, BS: true } }]]);
    it.each([
      ['lost', true, { BE: false, BS: false }],
      ['gained', false, { BE: true, BS: false }],
      ['gained, and used', false, { BE: true, BS: true }],
    ])('rejects eligibility that was %s since registration', (_, backupEligible, flags) =>
      expectRefusal(
        runAuthentication({ model: { backupEligible, backedUp: false }, interference: { flags } }),
        'backup-eligibility-changed',
      ),
    );
    it.each([true, false])('lets the state be %s, and reports it', async (backedUp) => {
      expect(await runAuthentication({ model: { backupEligible: true, backedUp } })).toMatchObject({ backedUp });
    });
  });

  describe('steps 20 and 21: the signature over authenticator data and client data hash', () => {
    const zero = hex('3006020100020100');
    refuses('signature-invalid', [
      ['no signature', { response: { signature: '' } }],
      ['r = s = 0', { signature: () => zero }],
      ['r = s = 1', { signature: () => hex('3006020101020101') }],
      ['negative integers', { signature: () => hex('30060201ff0201ff') }],
      [
        'integers of 100 bytes',
        {
          signature: () => Buffer.concat([hex('3081cc0264'), Buffer.alloc(100, 1), hex('0264'), Buffer.alloc(100, 1)]),
        },
      ],
      ['r and s without DER', { signature: () => Buffer.alloc(64, 1) }],
      ['a signature cut short', { signature: (bytes) => bytes.subarray(0, -1) }],
      ['a signature with a byte behind it', { signature: (bytes) => Buffer.concat([bytes, hex('00')]) }],
      ['a bit of the signature turned', { signature: (bytes) => flipBit(bytes, bytes.length - 1) }],
      ['a header of 2 GiB', { signature: () => hex('30847fffffff') }],
      ['16 KiB of zeros', { signature: () => Buffer.alloc(16_384) }],
      [
        'authenticator data changed after it was signed',
        {
          response: {
            authenticatorData: Buffer.concat([
              createHash('sha256').update('login.example.com').digest(),
              hex('1d00000001'),
            ]).toString('base64url'),
          },
        },
      ],
    ]);

    it.each(['ES256', 'EdDSA', 'RS256', 'PS256', 'ML-DSA-44'] as const)(
      'rejects a signature by another %s key',
      (algorithm) =>
        expectRefusal(
          runAuthentication({ model: { algorithm }, interference: { signature: reSigned(generateKey(algorithm)) } }),
          'signature-invalid',
        ),
    );
    const reSigned = (key: ReturnType<typeof generateKey>) => () => signWith(key, Buffer.from('anything'));

    it('rejects another hash than the algorithm’s', async () => {
      const key = generateKey('ES256');
      let signed: Buffer = Buffer.alloc(0);
      const interference: AssertionInterference = {
        authenticatorData: (bytes) => (signed = bytes),
        signature: () => sign('sha512', Buffer.concat([signed, createHash('sha512').digest()]), key.privateKey),
      };
      await expectRefusal(runAuthentication({ interference }), 'signature-invalid');
    });

    it.each<[string, Buffer]>([
      ['is cut short', hex('a50102')],
      ['is empty', Buffer.alloc(0)],
      ['has no algorithm', hex('a0')],
    ])('refuses, and does not fail, when the stored key %s', async (_, publicKey) => {
      const credential = { credentialId: Buffer.alloc(16, 1), publicKey, backupEligible: true };
      const id = credential.credentialId.toString('base64url');
      const ceremony = runAuthentication({ interference: { credential: { id, rawId: id } }, expected: { credential } });
      await expect(ceremony).rejects.toMatchObject({ name: 'Refusal' });
    });
  });

  describe('step 22: the sign count', () => {
    it.each([0, 1, 4_294_967_295])('is reported, not judged: %i', async (signCount) => {
      expect(await runAuthentication({ interference: { signCount } })).toMatchObject({ signCount });
    });
    it('cannot make a forged assertion look like a cloned one', () =>
      expectRefusal(
        runAuthentication({ interference: { signCount: 0, signature: () => hex('00') } }),
        'signature-invalid',
      ));
    it('is compared and set by the database: answer.repository.spec.ts', NOTHING_TO_VERIFY);
  });

  describe('step 23: extension outputs', () => {
    it('are ignored when they were not requested', async () => {
      const interference = {
        extensions: { credBlob: true, unheardOf: { deep: [1] } },
        credential: { clientExtensionResults: { unheardOf: true } },
      };
      await runAuthentication({ interference });
    });
    it('may be floats and integers beyond 2^53: the bytes count', () =>
      runAuthentication({ interference: { extensions: ODD_OUTPUTS } }));
    refuses('malformed', [['extensions that are no map', { extensions: [] as never }]]);
  });

  describe('steps 24 and 25: the new state', () => {
    it('is verify-credential.ts', NOTHING_TO_VERIFY);
  });
});
