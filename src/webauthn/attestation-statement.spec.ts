import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { issue, type Issued } from '../../test/support/authenticator/certificate-chain.js';
import { certificatesOf, weaknessOf } from './attestation-statement.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const RSA = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' }; // prettier-ignore
const RS1 = -65_535;

const model = (hex: string): x509.Extension =>
  new x509.Extension('1.3.6.1.4.1.45724.1.1.4', false, Buffer.from(hex, 'hex'));

let p256: Issued;
let p384: Issued;
let rsa: Issued;
let named: Issued;
let misnamed: Issued;
beforeAll(async () => {
  p256 = await issue();
  p384 = await issue({ key: { name: 'ECDSA', namedCurve: 'P-384' } });
  rsa = await issue({ key: RSA });
  named = await issue({ extensions: [model(`0410${AAGUID.replaceAll('-', '')}`)] });
  misnamed = await issue({ extensions: [model(`0410${'11'.repeat(16)}`)] });
});

/** How many certificates the statement has, or why it is refused. */
function outcomeOf(format: string, statement: Record<string, unknown>, algorithm = -7): number | string {
  try {
    return certificatesOf(format, new Map(Object.entries(statement)), { algorithm, aaguid: AAGUID }).length;
  } catch (error) {
    return (error as Error).message.replace('attestation-invalid: ', '');
  }
}

const raw = ({ certificate }: Issued): Buffer => certificate.raw;
const NO_LIST = 'x5c is no list of certificates';
const NO_CERTIFICATE = 'x5c holds what is no certificate';
const OTHER_ALGORITHM = 'the algorithm is not that of the attestation certificate';

describe('WebAuthn L3 §8: what a format asks of its algorithm and certificates', () => {
  it.each<[string, () => [string, Record<string, unknown>, number?], number | string]>([
    ['none has no certificates, whatever it holds', () => ['none', { x5c: [raw(p256)] }], 0],
    ['packed attests itself in its own algorithm', () => ['packed', { alg: -7 }], 0],
    ['and in no other', () => ['packed', { alg: -8 }], 'self attestation in another algorithm than the key'],
    ['fido-u2f does not attest itself', () => ['fido-u2f', { alg: -7 }], 'fido-u2f without certificates'],
    ['apple does not', () => ['apple', { alg: -7 }], 'apple without certificates'],
    ['x5c is a list', () => ['packed', { alg: -7, x5c: raw(p256) }], NO_LIST],
    ['of one', () => ['packed', { alg: -7, x5c: [] }], NO_LIST],
    ['to eight', () => ['packed', { alg: -7, x5c: Array(8).fill(raw(p256)) }], 8],
    ['certificates', () => ['packed', { alg: -7, x5c: Array(9).fill(raw(p256)) }], 'x5c has 9 certificates'],
    ['in DER', () => ['packed', { alg: -7, x5c: [Buffer.alloc(70, 1)] }], NO_CERTIFICATE],
    ['not in PEM', () => ['packed', { alg: -7, x5c: [p256.pem] }], NO_CERTIFICATE],
    ['nor in PEM as bytes', () => ['packed', { alg: -7, x5c: [Buffer.from(p256.pem)] }], NO_CERTIFICATE],
    ['with no byte behind', () => ['packed', { alg: -7, x5c: [Buffer.concat([raw(p256), Buffer.alloc(1)])] }], NO_CERTIFICATE],
    ['packed is in the algorithm of its certificate', () => ['packed', { alg: -257, x5c: [raw(rsa)] }], 1],
    ['and of its curve', () => ['packed', { alg: -7, x5c: [raw(p384)] }], OTHER_ALGORITHM],
    ['and of its key type', () => ['packed', { alg: -257, x5c: [raw(p256)] }], OTHER_ALGORITHM],
    ['so is android-key', () => ['android-key', { alg: -257, x5c: [raw(p256)] }], OTHER_ALGORITHM],
    ['and tpm', () => ['tpm', { alg: -257, x5c: [raw(p256)] }], OTHER_ALGORITHM],
    ['tpm may be in RS1 (§8.3)', () => ['tpm', { alg: RS1, x5c: [raw(rsa)] }], 1],
    ['by an RSA key', () => ['tpm', { alg: RS1, x5c: [raw(p256)] }], OTHER_ALGORITHM],
    ['but not in any algorithm', () => ['tpm', { alg: -7, x5c: [raw(rsa)] }], OTHER_ALGORITHM],
    ['and packed may not', () => ['packed', { alg: RS1, x5c: [raw(rsa)] }], OTHER_ALGORITHM],
    ['apple names no algorithm', () => ['apple', { x5c: [raw(p384)] }], 1],
    ['fido-u2f has one certificate (§8.6)', () => ['fido-u2f', { x5c: [raw(p256), raw(p384)] }], 'fido-u2f has exactly one certificate'],
    ['on P-256', () => ['fido-u2f', { x5c: [raw(p384)] }], 'the key of a fido-u2f certificate is on P-256'],
    ['for an ES256 key', () => ['fido-u2f', { x5c: [raw(p256)] }, -35], 'fido-u2f attests ES256 keys'],
    ['which is all that it asks', () => ['fido-u2f', { x5c: [raw(p256)] }], 1],
    ['a certificate of packed may name the model (§8.2.1)', () => ['packed', { alg: -7, x5c: [raw(named)] }], 1],
    ['which is that of the authenticator data', () => ['packed', { alg: -7, x5c: [raw(misnamed)] }], 'the certificate is of another model'],
    ['for tpm too (§8.3)', () => ['tpm', { alg: -7, x5c: [raw(misnamed)] }], 'the certificate is of another model'],
  ])('%s', (_, statement, outcome) => {
    expect(outcomeOf(...statement())).toBe(outcome);
  }); // prettier-ignore

  it('RS1 holds, and is not to be trusted', () => {
    expect(weaknessOf(new Map([['alg', RS1]]))).toBe('it is signed with SHA-1');
    expect(weaknessOf(new Map([['alg', -257]]))).toBeUndefined();
  });
});
