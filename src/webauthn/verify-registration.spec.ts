import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { noAttestation, packedSelf } from '../../test/support/authenticator/attestation.js';
import type { CreationInterference } from '../../test/support/authenticator/interference.js';
import { encodeCose, generateKey } from '../../test/support/authenticator/keys.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import {
  expectRefusal,
  NOTHING_TO_VERIFY,
  ODD_OUTPUTS,
  ORIGIN,
  runRegistration,
  RP_ID,
} from '../../test/support/pure-ceremonies.js';
import type { Reason } from './refusal.js';
import type { RegistrationExpectation } from './verify-registration.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';

/** An attack and the reason of its refusal. */
type Attack = [what: string, interference: CreationInterference];

const refuses = (reason: Reason, attacks: Attack[], expected: Partial<RegistrationExpectation> = {}): void => {
  it.each(attacks)(`rejects %s: ${reason}`, (_, interference) =>
    expectRefusal(runRegistration({ interference, expected }), reason),
  );
};

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');

/** Valid JSON except for one string, which consists of these bytes. */
const quoteBytes = (...bytes: number[]): Buffer =>
  Buffer.concat([Buffer.from('{"type":"webauthn.create","text":"'), Buffer.from(bytes), Buffer.from('"}')]);

/** An attestation object with replaced members. */
const object = (members: { fmt?: unknown; attStmt?: unknown }): CreationInterference => ({
  attestation: (): never => ({ fmt: 'none', attStmt: {}, ...members }) as never,
});

const quoteReceived = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

describe('WebAuthn L3 §7.1 Registering a New Credential', () => {
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

  describe('step 5: UTF-8 decode the client data', () => {
    refuses('malformed', [
      ['bytes that are not UTF-8', { clientDataJson: quoteBytes(0xff) }],
      ['an overlong encoding', { clientDataJson: quoteBytes(0xc1, 0xa1) }],
      ['an encoded surrogate', { clientDataJson: quoteBytes(0xed, 0xa0, 0x80) }],
      ['a character cut short', { clientDataJson: quoteBytes(0xe2, 0x82) }],
      ['base64 with padding', { response: { clientDataJSON: 'e30=' } }],
      ['base64 that is not base64url', { response: { clientDataJSON: 'ab+/' } }],
    ]);
  });

  describe('step 6: parse it as JSON', () => {
    const texts = ['', '{', 'null', '1', '"text"', '[]', '[{}]', '{}{}', "{'type':1}", '{"a":1,}', '[['.repeat(10_000)];
    refuses(
      'malformed',
      texts.map((text): Attack => [`the text ${text.slice(0, 12)}`, { clientDataJson: text }]),
    );
    refuses('type-mismatch', [
      [
        'a client data of 20,000 levels',
        { clientDataJson: `{"type":${'['.repeat(20_000)}${']'.repeat(20_000)},"origin":"${ORIGIN}"}` },
      ],
    ]);
    it('ignores members that it does not know', async () => {
      const interference = { clientData: { extra: { any: 'thing' }, __proto__: undefined } };
      expect(await runRegistration({ interference })).toMatchObject({ attestation: { format: 'none' } });
    });
  });

  describe('step 7: the type is webauthn.create', () => {
    const types = ['webauthn.get', 'Webauthn.create', 'webauthn.create ', '', undefined, null, 1, ['webauthn.create']];
    refuses(
      'type-mismatch',
      types.map((type): Attack => [quoteReceived(type), { clientData: { type } }]),
    );
  });

  describe('step 8: the challenge is the one that was issued', () => {
    const challenges = ['AAAA', '', undefined, null, 1, ['AAAA'], `${'A'.repeat(43)}=`];
    refuses(
      'challenge-mismatch',
      challenges.map((challenge): Attack => [quoteReceived(challenge), { clientData: { challenge } }]),
    );
  });

  describe('step 9: the origin is one of the relying party', () => {
    const origins = [
      'http://login.example.com',
      'https://login.example.com:8443',
      'https://login.example.com:443',
      'https://login.example.com/',
      'https://login.example.com.',
      'https://example.com',
      'https://evil.login.example.com',
      'https://login.example.com.evil.example',
      'https://LOGIN.example.com',
      'https://login.example.com@evil.example',
      'https://user@login.example.com',
      'https://lоgin.example.com',
      'https://xn--lgin-5qa.example.com',
      'login.example.com',
      'null',
      '',
      undefined,
      null,
      [ORIGIN],
    ];
    refuses(
      'origin-mismatch',
      origins.map((origin): Attack => [quoteReceived(origin), { clientData: { origin } }]),
    );
    it('accepts an Android app that the relying party lists', async () => {
      const origin = 'android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck';
      await runRegistration({ interference: { clientData: { origin } }, expected: { origins: [ORIGIN, origin] } });
    });
  });

  describe('steps 10 and 11: cross-origin and the top origin', () => {
    refuses('cross-origin-denied', [
      ['a ceremony in a cross-origin frame', { clientData: { crossOrigin: true } }],
      ['a ceremony below another page', { clientData: { crossOrigin: true, topOrigin: 'https://shop.example' } }],
      ['a top origin without a cross-origin frame', { clientData: { topOrigin: ORIGIN } }],
    ]);
    it('has one policy for both ceremonies: client-data.spec.ts', NOTHING_TO_VERIFY);
  });

  describe('step 12: hash the client data', () => {
    it('is what step 22 verifies a signature over', NOTHING_TO_VERIFY);
  });

  describe('step 13: CBOR decode the attestation object', () => {
    refuses('malformed', [
      ['an object that lacks its last byte', { attestationObject: (bytes) => bytes.subarray(0, -1) }],
      ['a byte behind the object', { attestationObject: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }],
      ['no byte at all', { attestationObject: () => Buffer.alloc(0) }],
      [
        'a header of 2 GiB',
        { attestationObject: (bytes) => Buffer.concat([bytes.subarray(0, -1), hex('5a7fffffff')]) },
      ],
      ['20,000 levels', { attestationObject: () => Buffer.concat([Buffer.alloc(20_000, 0x81), hex('80')]) }],
      ['a list', { attestationObject: (bytes) => Buffer.concat([hex('81'), bytes]) }],
      [
        'a map of indefinite length',
        { attestationObject: (bytes) => Buffer.concat([hex('bf'), bytes.subarray(1), hex('ff')]) },
      ],
      [
        'an object with fmt twice',
        { attestationObject: (bytes) => Buffer.concat([hex('a4'), bytes.subarray(1), hex('63666d74646e6f6e65')]) },
      ],
      ['a format that is not text', object({ fmt: 7 })],
      ['a statement that is not a map', object({ attStmt: [] })],
      [
        'authenticator data as text',
        { attestationObject: () => Buffer.from(encode({ fmt: 'none', attStmt: {}, authData: 'text' })) },
      ],
      ['no member', { attestationObject: () => hex('a0') }],
      ['base64url with a foreign character', { response: { attestationObject: 'o2Nm*bXRk' } }],
    ]);
  });

  describe('authenticator data, §6.1', () => {
    refuses('malformed', [
      ['a byte too many', { authenticatorData: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }],
      ['no attested credential data', { flags: { AT: false }, authenticatorData: (bytes) => bytes.subarray(0, 37) }],
    ]);
    it('is parsed to its last byte: authenticator-data.spec.ts', NOTHING_TO_VERIFY);
  });

  describe('step 14: the RP ID', () => {
    const rpIds = ['example.com', 'evil.example', 'LOGIN.example.com', ORIGIN, 'login.example.com.', ''];
    refuses(
      'rp-id-mismatch',
      rpIds.map((rpId): Attack => [`"${rpId}"`, { rpId }]),
    );
  });

  describe('step 15: user presence', () => {
    refuses('user-presence-missing', [['an answer without UP', { flags: { UP: false } }]]);
    it('may be absent when the challenge was issued for mediation: conditional', async () => {
      await runRegistration({ interference: { flags: { UP: false } }, expected: { conditional: true } });
    });
  });

  describe('step 16: user verification', () => {
    refuses('user-verification-missing', [['an answer without UV where it is required', { flags: { UV: false } }]]);
    refuses('user-verification-missing', [['one that is conditional too', { flags: { UV: false, UP: false } }]], {
      conditional: true,
    });
    it('may be absent where it is not required, and is reported', async () => {
      const ceremony = runRegistration({
        interference: { flags: { UV: false } },
        expected: { requireUserVerification: false },
      });
      expect(await ceremony).toMatchObject({ userVerified: false });
    });
  });

  describe('step 17: backup state needs backup eligibility', () => {
    refuses('backup-flags-invalid', [['BS without BE', { flags: { BE: false, BS: true } }]]);
  });

  describe('steps 18 and 19: backup eligibility and state', () => {
    it.each([
      [false, false],
      [true, false],
      [true, true],
    ])('are reported as they are: BE %s, BS %s', async (backupEligible, backedUp) => {
      const model = { backupEligible, backedUp };
      expect(await runRegistration({ model })).toMatchObject(model);
    });
    it('are compared with the policy by register-credential.ts', NOTHING_TO_VERIFY);
  });

  describe('step 20: the algorithm is one that was offered', () => {
    const { cose } = generateKey('ES256');
    refuses('algorithm-denied', [['ES256', { coseKey: cose }]], { algorithms: [-48, -8] });
    refuses('algorithm-denied', [
      [
        'ES256K',
        {
          coseKey: encodeCose(
            new Map([
              [1, 2],
              [3, -47],
              [-1, 8],
            ]),
          ),
        },
      ],
      [
        'RS1',
        {
          coseKey: encodeCose(
            new Map([
              [1, 3],
              [3, -65535],
            ]),
          ),
        },
      ],
      [
        'an algorithm as text',
        {
          coseKey: encodeCose(
            new Map<number, unknown>([
              [1, 2],
              [3, '-7'],
            ]),
          ),
        },
      ],
      ['a key without an algorithm', { coseKey: encodeCose(new Map([[1, 2]])) }],
      ['a key that names it by text', { coseKey: Buffer.from(encode({ 3: -7 })) }],
    ]);
    refuses('public-key-invalid', [
      [
        'an invalid key: cose-keys.spec.ts',
        {
          coseKey: encodeCose(
            new Map([
              [1, 2],
              [3, -7],
            ]),
          ),
        },
      ],
    ]);
  });

  describe('steps 21 to 24: the attestation statement', () => {
    refuses('attestation-invalid', [
      ['none with a statement', object({ attStmt: { alg: -7 } })],
      [
        'self attestation over another client data',
        {
          attestation: (attested) => packedSelf({ ...attested, clientDataHash: createHash('sha256').digest() }),
        },
      ],
    ]);
    it('are in attestation-formats.spec.ts', NOTHING_TO_VERIFY);
  });

  describe('step 25: the credential id has 1 to 1,023 bytes', () => {
    refuses('credential-id-invalid', [
      ['0 bytes', { credentialId: Buffer.alloc(0) }],
      ['1,024 bytes', { credentialId: Buffer.alloc(1_024) }],
      ['65,535 bytes', { credentialId: Buffer.alloc(65_535) }],
    ]);
    it.each([1, 16, 1_023])('accepts %i bytes', async (length) => {
      const credentialId = Buffer.alloc(length, 7);
      expect(await runRegistration({ interference: { credentialId } })).toMatchObject({ credentialId });
    });

    const other = Buffer.alloc(32, 1).toString('base64url');
    const credentialId = Buffer.alloc(32, 2);
    const padded = `${credentialId.toString('base64url')}=`;
    refuses('credential-id-invalid', [
      ['an id that is not the attested one', { credential: { id: other, rawId: other } }],
      ['an id that is not the rawId', { credential: { id: other } }],
      ['a rawId that is not the id', { credential: { rawId: other } }],
      ['an id with padding', { credentialId, credential: { id: padded, rawId: padded } }],
      ['no id', { credential: { id: undefined, rawId: undefined } }],
    ]);
  });

  describe('step 26: the credential id is new to the relying party', () => {
    it('is decided by the database: register-credential.ts', NOTHING_TO_VERIFY);
  });

  describe('step 27: the credential record', () => {
    it('has what the authenticator attested', async () => {
      const key = generateKey('ES256');
      const credentialId = Buffer.alloc(20, 3);
      const interference = { key, credentialId, aaguid: AAGUID, signCount: 4_294_967_295 };
      expect(await runRegistration({ interference })).toEqual({
        credentialId,
        publicKey: key.cose,
        algorithm: -7,
        aaguid: AAGUID,
        signCount: 4_294_967_295,
        userVerified: true,
        backupEligible: true,
        backedUp: true,
        attestation: { format: 'none', trust: 'none' },
      });
    });
    it('never has what the JSON says beside the attestation object', async () => {
      const response = { publicKey: 'AAAA', publicKeyAlgorithm: -257, authenticatorData: 'AAAA' };
      expect(await runRegistration({ interference: { response } })).toMatchObject({ algorithm: -7 });
    });
  });

  describe('step 28: extension outputs', () => {
    it('are ignored when they were not requested', async () => {
      const extensions = { credProtect: 3, unheardOf: { deep: [1] } };
      const credential = { clientExtensionResults: { unheardOf: true } };
      await runRegistration({ interference: { extensions, credential } });
    });
    it.each([
      ['none', noAttestation],
      ['packed', packedSelf],
    ])('may be floats and integers beyond 2^53, with %s: the bytes count', (_, attestation) =>
      runRegistration({ interference: { extensions: ODD_OUTPUTS, attestation } }),
    );
  });

  describe('step 29: store the record', () => {
    it('is register-credential.ts', NOTHING_TO_VERIFY);
  });

  it(`accepts only the expected RP ID: ${RP_ID}`, () =>
    expectRefusal(runRegistration({ expected: { rpId: 'other.example' } }), 'rp-id-mismatch'));
});
