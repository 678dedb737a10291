import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { encode } from 'cborg';
import { packedSelf } from '../../test/support/authenticator/attestation.js';
import type { AssertionInterference, CreationInterference } from '../../test/support/authenticator/interference.js';
import { encodeCose } from '../../test/support/authenticator/keys.js';
import { runAuthentication, ORIGIN, runRegistration, RP_ID } from '../../test/support/pure-ceremonies.js';
import type { Reason } from './refusal.js';
import type { RegistrationExpectation } from './verify-registration.js';

/** In both ceremonies a refusal names the specification's step and the received value. */

const hex = (bytes: string): Buffer => Buffer.from(bytes, 'hex');

/** An attestation object with replaced members. */
const object = (members: { fmt?: unknown; attStmt?: unknown }): CreationInterference => ({
  attestation: (): never => ({ fmt: 'none', attStmt: {}, ...members }) as never,
});

/** The signature with one bit of its last byte flipped. */
const flipped = (bytes: Buffer): Buffer =>
  Buffer.from(bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)));

describe('a refused registration (WebAuthn L3 §7.1)', () => {
  it.each<[number, Reason, string, CreationInterference, Partial<RegistrationExpectation>]>([
    [5, 'malformed', 'clientDataJSON is not base64url', { response: { clientDataJSON: 'e30=' } }, {}],
    [6, 'malformed', 'clientDataJSON is not JSON in UTF-8', { clientDataJson: '{' }, {}],
    [7, 'type-mismatch', 'type is "x", not "webauthn.create"', { clientData: { type: 'x' } }, {}],
    [
      8,
      'challenge-mismatch',
      'the answer is for another challenge than the one with this challengeId',
      { clientData: { challenge: 'AAAA' } },
      {},
    ],
    [9, 'origin-mismatch', `origin is "x", not one of ${ORIGIN}`, { clientData: { origin: 'x' } }, {}],
    [
      10,
      'cross-origin-denied',
      'the ceremony ran in a cross-origin frame, which the policy does not allow',
      { clientData: { crossOrigin: true } },
      {},
    ],
    [
      11,
      'cross-origin-denied',
      'the client data has a topOrigin, but the ceremony did not run in a cross-origin frame',
      { clientData: { topOrigin: ORIGIN } },
      {},
    ],
    [13, 'malformed', 'attestationObject is not base64url', { response: { attestationObject: 'o2Nm*' } }, {}],
    [
      13,
      'malformed',
      'attestationObject: not CBOR in CTAP2’s canonical form',
      { attestationObject: () => hex('a1') },
      {},
    ],
    [13, 'malformed', 'attestationObject is not a CBOR map', { attestationObject: () => hex('80') }, {}],
    [13, 'malformed', 'fmt of the attestation object is not a text string', object({ fmt: 7 }), {}],
    [13, 'malformed', 'attStmt of the attestation object is not a CBOR map', object({ attStmt: [] }), {}],
    [
      13,
      'malformed',
      'authData of the attestation object is not a byte string',
      { attestationObject: () => Buffer.from(encode({ fmt: 'none', attStmt: {}, authData: 'text' })) },
      {},
    ],
    [
      13,
      'malformed',
      'the authenticator data holds no new credential (the flag AT is 0)',
      { flags: { AT: false }, authenticatorData: (bytes) => bytes.subarray(0, 37) },
      {},
    ],
    [14, 'rp-id-mismatch', `the authenticator answered for another RP ID than ${RP_ID}`, { rpId: 'evil.example' }, {}],
    [
      15,
      'user-presence-missing',
      'the authenticator did not test that a user is present (the flag UP is 0), which the ceremony demands',
      { flags: { UP: false } },
      {},
    ],
    [
      16,
      'user-verification-missing',
      'the authenticator did not verify the user by PIN or biometrics (the flag UV is 0), which the policy demands',
      { flags: { UV: false } },
      {},
    ],
    [
      17,
      'backup-flags-invalid',
      'the authenticator says that the passkey is backed up (BS is 1), but that it cannot be (BE is 0)',
      { flags: { BE: false, BS: true } },
      {},
    ],
    [20, 'algorithm-denied', 'the key is for ES256 (-7); the options offered EdDSA (-8)', {}, { algorithms: [-8] }],
    [
      20,
      'public-key-invalid',
      'the curve is not that of ES256',
      {
        coseKey: encodeCose(
          new Map([
            [1, 2],
            [3, -7],
          ]),
        ),
      },
      {},
    ],
    [
      21,
      'attestation-format-denied',
      `the format ${'x'.repeat(64)} is not one of none, packed, fido-u2f, tpm, apple, android-key, which the policy allows`,
      object({ fmt: 'x'.repeat(65) }),
      {},
    ],
    [
      22,
      'attestation-invalid',
      'the signature of the attestation statement was not made over this authenticator data and client data',
      { attestation: (attested) => packedSelf({ ...attested, clientDataHash: createHash('sha256').digest() }) },
      {},
    ],
  ])('step %i, %s: %s', async (number, reason, detail, interference, expected) => {
    const clause = `§7.1 step ${String(number)}`;
    await expect(runRegistration({ interference, expected })).rejects.toMatchObject({ reason, detail, clause });
  });

  it('has no step when only this service checks: the ids around the attested one', async () => {
    const refused = runRegistration({ interference: { credential: { id: 'AAAA' } } });
    const detail = 'id, rawId and the attested credential id are not the same';
    await expect(refused).rejects.toMatchObject({ reason: 'credential-id-invalid', detail });
    await expect(refused).rejects.not.toHaveProperty('clause');
  });
});

describe('a refused authentication (WebAuthn L3 §7.2)', () => {
  it.each<[number, Reason, string, AssertionInterference]>([
    [6, 'credential-id-invalid', 'id and rawId are not both the id of the credential', { credential: { id: 'AAAA' } }],
    [7, 'malformed', 'signature is not base64url', { response: { signature: 'MEUC\n' } }],
    [7, 'malformed', 'authenticatorData is not base64url', { response: { authenticatorData: 'ab+/' } }],
    [
      7,
      'malformed',
      'authenticator data has 36 bytes, not 37 or more',
      { authenticatorData: (bytes) => bytes.subarray(0, 36) },
    ],
    [8, 'malformed', 'clientDataJSON is not base64url', { response: { clientDataJSON: 'e30=' } }],
    [9, 'malformed', 'clientDataJSON is not a JSON object', { clientDataJson: '[]' }],
    [10, 'type-mismatch', 'type is "x", not "webauthn.get"', { clientData: { type: 'x' } }],
    [
      11,
      'challenge-mismatch',
      'the answer is for another challenge than the one with this challengeId',
      { clientData: { challenge: 'AAAA' } },
    ],
    [12, 'origin-mismatch', `origin is "x", not one of ${ORIGIN}`, { clientData: { origin: 'x' } }],
    [
      13,
      'cross-origin-denied',
      'the ceremony ran in a cross-origin frame, which the policy does not allow',
      { clientData: { crossOrigin: true } },
    ],
    [
      14,
      'cross-origin-denied',
      'the client data has a topOrigin, but the ceremony did not run in a cross-origin frame',
      { clientData: { topOrigin: ORIGIN } },
    ],
    [
      15,
      'rp-id-mismatch',
      'the authenticator answered for another RP ID than login.example.com',
      { rpId: 'evil.example' },
    ],
    [
      16,
      'user-presence-missing',
      'the authenticator did not test that a user is present (the flag UP is 0), which the ceremony demands',
      { flags: { UP: false } },
    ],
    [
      17,
      'user-verification-missing',
      'the authenticator did not verify the user by PIN or biometrics (the flag UV is 0), which the policy demands',
      { flags: { UV: false } },
    ],
    [
      18,
      'backup-flags-invalid',
      'the authenticator says that the passkey is backed up (BS is 1), but that it cannot be (BE is 0)',
      { flags: { BE: false, BS: true } },
    ],
    [
      19,
      'backup-eligibility-changed',
      'the passkey cannot be backed up now (BE is not set), but could be at registration; an authenticator never does that, so the user should register a new passkey',
      { flags: { BE: false, BS: false } },
    ],
    [
      21,
      'signature-invalid',
      'the signature was not made by the key that was registered, over this authenticator data and client data',
      { signature: (bytes) => Buffer.concat([bytes, hex('00')]) },
    ],
    [
      21,
      'signature-invalid',
      'the signature was not made by the key that was registered, over this authenticator data and client data',
      { signature: (bytes) => Buffer.concat([hex('31'), bytes.subarray(1)]) },
    ],
    [
      21,
      'signature-invalid',
      'the signature was not made by the key that was registered, over this authenticator data and client data',
      { signature: flipped },
    ],
  ])('step %i, %s: %s', async (number, reason, detail, interference) => {
    const clause = `§7.2 step ${String(number)}`;
    await expect(runAuthentication({ interference })).rejects.toMatchObject({ reason, detail, clause });
  });
});
