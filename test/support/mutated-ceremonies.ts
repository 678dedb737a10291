import { randomBytes } from 'node:crypto';
import { ALGORITHMS } from '../../src/webauthn/algorithms.js';
import { ATTESTATION_FORMATS } from '../../src/webauthn/attestation-statement.js';
import { type Reason, Refusal } from '../../src/webauthn/verdict.js';
import { verifyAuthentication } from '../../src/webauthn/verify-authentication.js';
import { verifyRegistration } from '../../src/webauthn/verify-registration.js';
import { packedSelf } from './authenticator/attestation.js';
import { Authenticator } from './authenticator/authenticator.js';
import type { AlgorithmName } from './authenticator/keys.js';
import { type MutatedMember, mutate } from './mutations.js';

const RP_ID = 'login.example.com';
const ORIGIN = 'https://login.example.com';
const COMMON = {
  rpId: RP_ID,
  origins: [ORIGIN],
  crossOrigin: { allow: false, topOrigins: [] },
  requireUserVerification: true,
  allowBackupGrowth: false,
};

/** A reason of the closed list; or what only an honest answer may be; or, for mutations that change nothing, neither. */
export type Outcome = Reason | 'ACCEPTED' | 'FAILED' | 'unchanged';

/** An honest ceremony, ready to be answered again and again with something changed. */
export interface Target {
  readonly name: string;
  /** Must be accepted as it is. */
  honest(): Promise<Outcome>;
  attack(changes: readonly MutatedMember[]): Promise<Outcome>;
}

async function outcomeOf(verify: () => unknown): Promise<Outcome> {
  try {
    await verify();
    return 'ACCEPTED';
  } catch (error) {
    return error instanceof Refusal ? error.reason : 'FAILED';
  }
}

/** Self attestation, because with `none` nobody signs for the authenticator data and a changed one is as good as another. */
function registrationTarget(algorithm: AlgorithmName): Target {
  const authenticator = new Authenticator({ algorithm, attestation: packedSelf });
  const [challenge, otherChallenge] = [randomBytes(32), randomBytes(32)];
  const user = { id: randomBytes(32).toString('base64url'), name: '', displayName: '' };
  const optionsFor = (bytes: Buffer) => ({
    ...{ rp: { id: RP_ID, name: '' }, user, challenge: bytes.toString('base64url'), pubKeyCredParams: [] },
  });
  const honest = authenticator.create(optionsFor(challenge), ORIGIN);
  const other = authenticator.create(optionsFor(otherChallenge), ORIGIN);
  const algorithms = ALGORITHMS.map(({ cose }) => cose);
  const expected = {
    ...COMMON,
    challenge,
    conditional: false,
    algorithms,
    formats: ATTESTATION_FORMATS,
    roots: () => [],
    allowSha1Tpm: false,
    now: new Date(),
  };
  return {
    name: `registration, ${algorithm}`,
    honest: () => outcomeOf(() => verifyRegistration(honest, expected)),
    attack: async (changes) => {
      const mutated = mutate(honest, other, changes);
      return mutated ? outcomeOf(() => verifyRegistration(mutated, expected)) : 'unchanged';
    },
  };
}

function authenticationTarget(algorithm: AlgorithmName): Target {
  const authenticator = new Authenticator({ algorithm });
  const user = { id: randomBytes(32).toString('base64url'), name: '', displayName: '' };
  authenticator.create({ rp: { id: RP_ID, name: '' }, user, challenge: 'AAAA', pubKeyCredParams: [] }, ORIGIN);
  const passkey = authenticator.newest;
  const answer = (bytes: Buffer) =>
    authenticator.get({ rpId: RP_ID, challenge: bytes.toString('base64url') }, ORIGIN, { passkey });
  const challenge = randomBytes(32);
  const [honest, other] = [answer(challenge), answer(randomBytes(32))];
  const credential = { credentialId: passkey.id, publicKey: passkey.key.cose, backupEligible: true };
  const expected = { ...COMMON, challenge, credential };
  return {
    name: `authentication, ${algorithm}`,
    honest: () => outcomeOf(() => verifyAuthentication(honest, expected)),
    attack: async (changes) => {
      const mutated = mutate(honest, other, changes);
      return mutated ? outcomeOf(() => verifyAuthentication(mutated, expected)) : 'unchanged';
    },
  };
}

export const targets = (): Target[] =>
  (['ES256', 'EdDSA', 'RS256', 'ML-DSA-44'] as const).flatMap((algorithm) => [
    registrationTarget(algorithm),
    authenticationTarget(algorithm),
  ]);
