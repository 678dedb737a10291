import { randomBytes } from 'node:crypto';
import type fc from 'fast-check';
import { ALGORITHMS } from '../../src/webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../../src/webauthn/attestation-statement.js';
import { type Reason, Refusal, refuseUnless } from '../../src/webauthn/refusal.js';
import { verifyAuthentication } from '../../src/webauthn/verify-authentication.js';
import { type RegistrationResponseJSON, verifyRegistration } from '../../src/webauthn/verify-registration.js';
import { AndroidDevice } from './authenticator/android-key.js';
import { fidoU2fBy, packedBy, packedSelf } from './authenticator/attestation.js';
import { createAttestationAuthority } from './authenticator/attestation-authority.js';
import { sha256 } from './authenticator/authenticator-data.js';
import { Authenticator } from './authenticator/authenticator.js';
import type { CreationInterference } from './authenticator/interference.js';
import { type AlgorithmName, generateKey } from './authenticator/keys.js';
import type { Model } from './authenticator/model.js';
import { Tpm } from './authenticator/tpm.js';
import { mutate, mutations } from './mutations.js';

const RP_ID = 'login.example.com';
const ORIGIN = 'https://login.example.com';
const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const COMMON = {
  rpId: RP_ID,
  origins: [ORIGIN],
  crossOrigin: { allow: false, topOrigins: [] },
  requireUserVerification: true,
  allowBackupGrowth: false,
};

/**
 * A reason of the closed list; `ACCEPTED`; `FAILED` for any other error, and for a refusal of what must be accepted;
 * `unchanged` if the changes change nothing that counts.
 */
export type Outcome = Reason | 'ACCEPTED' | 'FAILED' | 'unchanged';

/** An honest ceremony that a test can answer repeatedly, each time with a change. */
export interface Target {
  readonly name: string;
  /** Answers without a change, which the service must accept. */
  honest(): Promise<Outcome>;
  readonly attacks: fc.Arbitrary<Attack>;
}

export interface Attack {
  /** What a report shows of the attack. */
  readonly changes: unknown;
  run(): Promise<Outcome>;
}

export async function observeOutcome(verify: () => unknown): Promise<Outcome> {
  try {
    await verify();
    return 'ACCEPTED';
  } catch (error) {
    return error instanceof Refusal ? error.reason : 'FAILED';
  }
}

interface RegistrationProfile {
  readonly model: Partial<Model>;
  readonly interference?: CreationInterference;
  readonly challenge?: Buffer;
  /** The roots that the attestation must lead to. An attestation that is true but not trusted counts as refused. */
  readonly roots?: readonly string[];
  /** The statement signs neither the flags nor the sign count, so an answer that differs only in them is still valid. */
  readonly countsUnsigned?: true;
}

function createRegistrationTarget(name: string, profile: RegistrationProfile): Target {
  const { model, interference, challenge = randomBytes(32), roots = [] } = profile;
  const authenticator = new Authenticator(model);
  const user = { id: randomBytes(32).toString('base64url'), name: '', displayName: '' };
  const optionsFor = (bytes: Buffer) => ({
    rp: { id: RP_ID, name: '' },
    user,
    challenge: bytes.toString('base64url'),
    pubKeyCredParams: [],
  });
  const honest = authenticator.create(optionsFor(challenge), ORIGIN, interference);
  const other = authenticator.create(optionsFor(randomBytes(32)), ORIGIN);
  const algorithms = ALGORITHMS.map(({ cose }) => cose);
  const expected = {
    ...COMMON,
    challenge,
    conditional: false,
    algorithms,
    formats: ATTESTATION_FORMATS,
    roots: () => roots,
    allowSha1Tpm: false,
    now: new Date(),
  };
  const verify = (answer: RegistrationResponseJSON): void => {
    const { attestation } = verifyRegistration(answer, expected);
    refuseUnless(roots.length === 0 || attestation.trust === 'trusted', 'attestation-untrusted', attestation.trust);
  };
  return {
    name: `registration, ${name}`,
    honest: () =>
      observeOutcome(() => {
        verify(honest);
      }),
    attacks: mutations.map((changes) => ({
      changes,
      run: async () => {
        const mutated = mutate(honest, other, changes);
        if (!mutated || (profile.countsUnsigned && serializeWithoutCounts(mutated) === serializeWithoutCounts(honest)))
          return 'unchanged';
        return observeOutcome(() => {
          verify(mutated);
        });
      },
    })),
  };
}

/** Copies the answer with zeros for the flags and the sign count of its authenticator data. */
function serializeWithoutCounts({
  id,
  rawId,
  response: { clientDataJSON, attestationObject },
}: RegistrationResponseJSON): string {
  const object = Buffer.from(attestationObject, 'base64url');
  const rpIdHash = object.indexOf(sha256(RP_ID));
  if (rpIdHash >= 0) object.subarray(rpIdHash + 32, rpIdHash + 37).fill(0);
  return JSON.stringify([id, rawId, clientDataJSON, object.toString('hex')]);
}

function createAuthenticationTarget(algorithm: AlgorithmName): Target {
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
    honest: () => observeOutcome(() => verifyAuthentication(honest, expected)),
    attacks: mutations.map((changes) => ({
      changes,
      run: async () => {
        const mutated = mutate(honest, other, changes);
        return mutated ? observeOutcome(() => verifyAuthentication(mutated, expected)) : 'unchanged';
      },
    })),
  };
}

/** Uses self attestation: with `none` nothing signs the authenticator data, so changed data would still be valid. */
const createSelfAttestedTarget = (algorithm: AlgorithmName): Target =>
  createRegistrationTarget(algorithm, { model: { algorithm, attestation: packedSelf } });

/** Makes targets whose statements also depend on the bytes of certificates. */
async function createAttestedTargets(): Promise<Target[]> {
  const maker = await createAttestationAuthority();
  const [tpm, phone] = [await Tpm.create(), await AndroidDevice.create()];
  const byMaker = { roots: [maker.rootPem] };
  return [
    createRegistrationTarget('packed', {
      model: { attestation: packedBy(await maker.issue({ aaguid: AAGUID })), aaguid: AAGUID },
      ...byMaker,
    }),
    createRegistrationTarget('fido-u2f', {
      model: { attestation: fidoU2fBy(await maker.issue()) },
      countsUnsigned: true,
      ...byMaker,
    }),
    createRegistrationTarget('tpm', { model: { attestation: tpm.attest(-7) }, roots: [tpm.root.pem] }),
    await createAndroidTarget(phone),
  ];
}

/** Makes the client data first, because the certificate contains its hash. */
async function createAndroidTarget(phone: AndroidDevice): Promise<Target> {
  const [key, challenge] = [generateKey('ES256'), randomBytes(32)];
  const clientDataJson = JSON.stringify({
    type: 'webauthn.create',
    challenge: challenge.toString('base64url'),
    origin: ORIGIN,
  });
  const attestation = await phone.attest(key, sha256(clientDataJson));
  const roots = [phone.root.pem];
  return createRegistrationTarget('android-key', {
    model: {},
    interference: { key, clientDataJson, attestation },
    challenge,
    roots,
  });
}

export const createTargets = async (): Promise<Target[]> => [
  ...(['ES256', 'EdDSA', 'RS256', 'ML-DSA-44'] as const).flatMap((algorithm) => [
    createSelfAttestedTarget(algorithm),
    createAuthenticationTarget(algorithm),
  ]),
  ...(await createAttestedTargets()),
];
