import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { noAttestation } from '../../test/support/authenticator/attestation.js';
import { issue, type Issued } from '../../test/support/authenticator/certificate-chain.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';

let leaf: Issued;
beforeAll(async () => {
  leaf = await issue();
});

const attested = (fmt: string, attStmt: Record<string, unknown>) =>
  runRegistration({ interference: { attestation: () => ({ fmt, attStmt }) } }).then(({ attestation }) => attestation);

describe('WebAuthn L3 §8.7 None attestation', () => {
  describe('attStmt: an empty map', () => {
    it('accepts it', async () => {
      const { attestation } = await runRegistration({ interference: { attestation: noAttestation } });
      expect(attestation).toEqual({ format: 'none', trust: 'none' });
    });
    it.each<[string, () => Record<string, unknown>]>([
      ['a signature', () => ({ sig: Buffer.alloc(70, 1) })],
      ['certificates', () => ({ x5c: [leaf.certificate.raw] })],
      ['any member', () => ({ future: 1 })],
    ])('refuses %s', (_, attStmt) => expectRefusal(attested('none', attStmt()), 'attestation-invalid'));
  });
});

describe('WebAuthn L3 §8: x5c of a statement', () => {
  it.each(['fido-u2f', 'tpm', 'apple', 'android-key'])('%s does not attest itself', async (fmt) => {
    await expect(attested(fmt, { alg: -7 })).rejects.toMatchObject({
      detail: `the statement of the format ${fmt} has no certificates (x5c)`,
    });
  });

  it('a refusal says which certificate of the chain cannot be read', async () => {
    const x5c = [leaf.certificate.raw, Buffer.alloc(70, 1)];
    const detail = 'x5c[1] is not a certificate in DER';
    await expect(attested('packed', { alg: -7, x5c })).rejects.toMatchObject({ detail });
  });

  describe('has no certificate with an extension twice (RFC 5280 §4.2)', () => {
    const repeat = (first: number, second: number) =>
      issue({
        extensions: [first, second].map(
          (n) => new x509.Extension('1.3.6.1.4.1.99999.2', false, Uint8Array.of(2, 1, n)),
        ),
      });

    it.each(['packed', 'fido-u2f', 'tpm', 'apple', 'android-key'])('in the format %s', async (fmt) => {
      for (const [at, second] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const) {
        const { certificate } = await repeat(1, second);
        const x5c = at === 0 ? [certificate.raw] : [leaf.certificate.raw, certificate.raw];
        const detail = `x5c[${String(at)}] has an extension twice`;
        await expect(attested(fmt, { alg: -7, x5c })).rejects.toMatchObject({ reason: 'attestation-invalid', detail });
      }
    });
  });
});
