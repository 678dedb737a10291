import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { COSE_ALGORITHMS } from '../src/webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../src/webauthn/attestation-statement.js';
import { type AuthenticationResponseJSON, verifyAuthentication } from '../src/webauthn/verify-authentication.js';
import {
  type RegistrationResponseJSON,
  type VerifiedRegistration,
  verifyRegistration,
} from '../src/webauthn/verify-registration.js';

interface Sample {
  readonly label: string;
  readonly registration: RegistrationResponseJSON;
  readonly authentication: { readonly response: AuthenticationResponseJSON };
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`./vectors/chromium-156/${name}.json`, import.meta.url), 'utf8'));
const { samples } = read('ceremonies') as { samples: Sample[] };
const extensions = read('extensions') as Record<'registration' | 'assertion', { response: unknown }>;
const ALL: Sample[] = [
  ...samples,
  {
    label: 'every extension at once',
    registration: extensions.registration.response as RegistrationResponseJSON,
    authentication: extensions.assertion as Sample['authentication'],
  },
];

/** The vectors record the challenge only in the client data. */
function expectationOf({ response }: RegistrationResponseJSON | AuthenticationResponseJSON) {
  const clientData = JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString()) as Record<string, string>;
  return {
    rpId: 'rp.test',
    origins: ['https://rp.test'],
    crossOrigin: { allow: true, topOrigins: ['https://bank.test'] },
    challenge: Buffer.from(clientData['challenge']!, 'base64url'),
    requireUserVerification: false,
  };
}

function register(registration: RegistrationResponseJSON): VerifiedRegistration {
  return verifyRegistration(registration, {
    ...expectationOf(registration),
    conditional: false,
    allowSha1Tpm: false,
    now: new Date('2026-11-20'),
    algorithms: COSE_ALGORITHMS,
    formats: ATTESTATION_FORMATS,
    roots: () => [],
  });
}

describe('the answers of Chromium 156', () => {
  it.each(ALL.map((sample) => [sample.label, sample] as const))('%s: they register and sign in', (_, sample) => {
    const { credentialId, publicKey, backupEligible, attestation } = register(sample.registration);
    expect(credentialId.toString('base64url')).toBe(sample.registration.id);
    expect(['none', 'packed', 'fido-u2f']).toContain(attestation.format);
    expect(['none', 'self', 'untrusted']).toContain(attestation.trust);
    const credential = { credentialId, publicKey, backupEligible };
    const answer = sample.authentication.response;
    const expected = { ...expectationOf(answer), allowBackupGrowth: false, credential };
    expect(verifyAuthentication(answer, expected)).toMatchObject({ userVerified: expect.any(Boolean) });
  });

  it('cover ten ceremonies of each kind', () => {
    expect(ALL).toHaveLength(10);
  });
});
