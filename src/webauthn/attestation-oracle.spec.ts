import { randomBytes } from 'node:crypto';
import { verifyRegistrationResponse } from '@simplewebauthn/server';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type Attestation,
  fidoU2fBy,
  noAttestation,
  packedBy,
  packedSelf,
} from '../../test/support/authenticator/attestation.js';
import { createAttestationAuthority } from '../../test/support/authenticator/attestation-authority.js';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import { Tpm } from '../../test/support/authenticator/tpm.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { ORIGIN, RP_ID } from '../../test/support/pure-ceremonies.js';
import { COSE_ALGORITHMS } from './cose.js';
import { ATTESTATION_FORMATS } from './attestation-statement.js';
import { Refusal } from './refusal.js';
import { verifyRegistration } from './verify-registration.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const ZEROS = '00000000-0000-0000-0000-000000000000';
const CHALLENGE = randomBytes(32);
const OPTIONS = {
  rp: { id: RP_ID, name: '' },
  user: { id: 'AAAA', name: '', displayName: '' },
  pubKeyCredParams: [],
  challenge: CHALLENGE.toString('base64url'),
};

type Answer = ReturnType<Authenticator['create']>;

function ours(answer: Answer): boolean {
  try {
    verifyRegistration(answer, {
      rpId: RP_ID,
      origins: [ORIGIN],
      crossOrigin: { allow: false, topOrigins: [] },
      challenge: CHALLENGE,
      conditional: false,
      requireUserVerification: true,
      algorithms: COSE_ALGORITHMS,
      formats: ATTESTATION_FORMATS,
      roots: () => [],
      allowSha1Tpm: false,
      now: new Date(),
    });
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

async function library(answer: Answer): Promise<boolean> {
  try {
    const { verified } = await verifyRegistrationResponse({
      response: answer,
      expectedChallenge: OPTIONS.challenge,
      expectedOrigin: ORIGIN,
      expectedRPID: RP_ID,
      supportedAlgorithmIDs: [...COSE_ALGORITHMS],
    });
    return verified;
  } catch {
    return false;
  }
}

/**
 * The oracle is stricter about two parts. It checks every bit of a certificate, which here only the issuer's signature
 * covers. It refuses a fido-u2f statement with an AAGUID, which this service accepts but does not trust.
 */
function isExempt(name: string, bytes: Buffer, at: number): boolean {
  const authData = bytes.indexOf('authData');
  const certificate = bytes.indexOf('x5c');
  const aaguid = authData + 'authData'.length + 2 + 37;
  const inside = (from: number, to: number): boolean => at >= from && at < to;
  return (certificate >= 0 && inside(certificate, authData)) || (name === 'fido-u2f' && inside(aaguid, aaguid + 16));
}

let network: ClosedNetwork;
beforeAll(() => {
  network = new ClosedNetwork();
});
afterAll(() => {
  expect(network.attempts).toEqual([]);
  network.open();
});

/**
 * SimpleWebAuthn verifies the same statements in its own way. The service must refuse every statement that it refuses.
 */
describe('an attestation statement, with SimpleWebAuthn as the oracle,', () => {
  const MAKERS: [string, string, () => Promise<Attestation>][] = [
    ['none', ZEROS, () => Promise.resolve(noAttestation)],
    ['packed self attestation', AAGUID, () => Promise.resolve(packedSelf)],
    ['packed', AAGUID, async () => packedBy(await (await createAttestationAuthority()).issue({ aaguid: AAGUID }))],
    ['fido-u2f', ZEROS, async () => fidoU2fBy(await (await createAttestationAuthority()).issue())],
    ['tpm', AAGUID, async () => (await Tpm.create()).attest(-7)],
  ];

  it.each(MAKERS)(
    '%s verifies in both when it is honest, and never only here when a bit is flipped',
    async (name, aaguid, make) => {
      const attestation = await make();
      const honest = new Authenticator({ aaguid, attestation }).create(OPTIONS, ORIGIN);
      expect([ours(honest), await library(honest)]).toEqual([true, true]);
      const bytes = Buffer.from(honest.response.attestationObject, 'base64url');
      const alone: number[] = [];
      for (let at = 0; at < bytes.length; at += 3) {
        if (isExempt(name, bytes, at)) continue;
        const turned = Buffer.from(bytes);
        turned[at]! ^= 1 << (at % 8);
        const response = { ...honest.response, attestationObject: turned.toString('base64url') };
        const answer = { ...honest, response };
        if (ours(answer) && !(await library(answer))) alone.push(at);
      }
      expect(alone).toEqual([]);
    },
  );
});
