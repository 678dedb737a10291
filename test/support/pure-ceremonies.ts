import { randomBytes } from 'node:crypto';
import { expect } from '@jest/globals';
import { COSE_ALGORITHMS } from '../../src/webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../../src/webauthn/attestation-statement.js';
import { type Reason, Refusal } from '../../src/webauthn/refusal.js';
import {
  type AuthenticationExpectation,
  type VerifiedAuthentication,
  verifyAuthentication,
} from '../../src/webauthn/verify-authentication.js';
import {
  type RegistrationExpectation,
  type VerifiedRegistration,
  verifyRegistration,
} from '../../src/webauthn/verify-registration.js';
import { Authenticator } from './authenticator/authenticator.js';
import type { AssertionInterference, CreationInterference } from './authenticator/interference.js';
import type { Model, Passkey } from './authenticator/model.js';

/** The two ceremonies without a service: the pure functions verify an authenticator's answer directly. */

export const RP_ID = 'login.example.com';
export const ORIGIN = 'https://login.example.com';

const DEFAULTS = {
  rpId: RP_ID,
  origins: [ORIGIN],
  crossOrigin: { allow: false, topOrigins: [] },
  requireUserVerification: true,
  allowBackupGrowth: false,
};

/** Extension outputs that a CBOR parser may write back in other bytes. */
export const ODD_OUTPUTS = {
  half: 0.5,
  double: 1.1,
  nan: Number.NaN,
  infinite: Infinity,
  nothing: undefined,
  large: 2n ** 64n - 1n,
  negative: -(2n ** 64n),
  deep: new Map([[1, [2 ** 53 - 1, 2n ** 53n]]]),
};

interface Variation<Interference, Expectation> {
  readonly model?: Partial<Model>;
  readonly interference?: Interference;
  readonly expected?: Partial<Expectation>;
}

export function runRegistration({
  model,
  interference,
  expected,
}: Variation<CreationInterference, RegistrationExpectation> = {}): Promise<VerifiedRegistration> {
  const challenge = randomBytes(32);
  const options = {
    rp: { id: RP_ID, name: 'Example' },
    user: { id: randomBytes(32).toString('base64url'), name: 'ada@example.com', displayName: 'Ada' },
    challenge: challenge.toString('base64url'),
    pubKeyCredParams: [],
  };
  const response = new Authenticator(model).create(options, ORIGIN, interference);
  const verify = (): VerifiedRegistration =>
    verifyRegistration(response, {
      ...DEFAULTS,
      challenge,
      conditional: false,
      algorithms: COSE_ALGORITHMS,
      formats: ATTESTATION_FORMATS,
      roots: () => [],
      allowSha1Tpm: false,
      now: new Date(),
      ...expected,
    });
  return Promise.resolve().then(verify);
}

export function runAuthentication({
  model,
  interference,
  expected,
}: Variation<AssertionInterference, AuthenticationExpectation> = {}): Promise<VerifiedAuthentication> {
  const challenge = randomBytes(32);
  const authenticator = new Authenticator(model);
  const passkey = createPasskey(authenticator);
  const options = { rpId: RP_ID, challenge: challenge.toString('base64url') };
  const response = authenticator.get(options, ORIGIN, { passkey, ...interference });
  const credential = {
    credentialId: passkey.id,
    publicKey: passkey.key.cose,
    backupEligible: authenticator.model.backupEligible,
  };
  const verify = (): VerifiedAuthentication =>
    verifyAuthentication(response, { ...DEFAULTS, challenge, credential, ...expected });
  return Promise.resolve().then(verify);
}

function createPasskey(authenticator: Authenticator): Passkey {
  const user = { id: randomBytes(32).toString('base64url'), name: '', displayName: '' };
  authenticator.create({ rp: { id: RP_ID, name: '' }, user, challenge: 'AAAA', pubKeyCredParams: [] }, ORIGIN);
  return authenticator.passkeys[0]!;
}

/** Demands that a ceremony is refused for this reason of the closed list, and does not fail in another way. */
export async function expectRefusal(ceremony: Promise<unknown>, reason: Reason): Promise<void> {
  const outcome = await ceremony.then(
    () => 'accepted',
    (error: unknown) => error,
  );
  if (!(outcome instanceof Refusal)) expect(outcome).toBe(`Refusal ${reason}`);
  else expect({ reason: outcome.reason, detail: outcome.detail }).toEqual({ reason, detail: outcome.detail });
}

/** Names a step that a server does not verify, or that another spec tests, so that an auditor finds every step. */
export const NOTHING_TO_VERIFY = (): void => undefined;
