import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { Profile } from '../../test/support/authenticator/certificate-chain.js';
import { COSE, type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';
import {
  makeAlternativeName,
  makeDirectoryName,
  encodeSized,
  Tpm,
  TPM_NAME,
  type TpmShape,
  encodeU16,
  makeUsages,
} from '../../test/support/authenticator/tpm.js';
import { expectRefusal, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { AttestationVerdict } from './attestation-trust.js';
import type { RegistrationExpectation } from './verify-registration.js';

const RS256 = COSE.RS256;
const RS1 = -65_535;
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2_048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
};
const AAGUID = '08987058-cadc-4b81-b6e1-30de50dcbe96';
const AIK = '2.23.133.8.3';

let tpm: Tpm;
let windows: Tpm;
beforeAll(async () => {
  tpm = await Tpm.create();
  windows = await Tpm.create({}, RSA);
});

interface Ceremony {
  by?: Tpm;
  alg?: number;
  key?: CredentialKey;
  shape?: TpmShape;
  expected?: Partial<RegistrationExpectation>;
}

async function ceremony({
  by = tpm,
  alg = COSE.ES256,
  key = generateKey('ES256'),
  shape = {},
  expected,
}: Ceremony): Promise<AttestationVerdict> {
  const interference = { key, aaguid: AAGUID, attestation: by.attest(alg, shape) };
  const { attestation } = await runRegistration({
    interference,
    expected: { roots: () => [tpm.root.pem, windows.root.pem, by.root.pem], ...expected },
  });
  return attestation;
}

const accepts = async (what: Ceremony): Promise<void> => {
  expect(await ceremony(what)).toEqual({ format: 'tpm', trust: 'trusted', root: 'CN=TPM Root' });
};
const refuses = (what: Ceremony): Promise<void> => expectRefusal(ceremony(what), 'attestation-invalid');
const shaped = (shape: TpmShape, what: Ceremony = {}): Ceremony => ({ ...what, shape });
const statement = (members: Record<string, unknown>): Ceremony => shaped({ statement: members });
const withAik = async (profile: Profile): Promise<Ceremony> => ({ by: await Tpm.create(profile) });

/** A key with a coordinate that begins with a zero. */
function keyWithZero(): CredentialKey {
  for (;;) {
    const key = generateKey('ES256');
    if (key.spki.at(-64) === 0 || key.spki.at(-32) === 0) return key;
  }
}

describe('WebAuthn L3 §8.3 TPM attestation', () => {
  describe('ver: the text "2.0"', () => {
    it('accepts 2.0', () => accepts({}));

    it.each(['1.2', '2.00', '', 2, undefined])('refuses %j', (ver) => refuses(statement({ ver })));
  });

  describe('alg: the algorithm of sig, whose hash extraData is made with', () => {
    it('accepts ES256', () => accepts({}));
    it('accepts RS256', () => accepts({ by: windows, alg: RS256 }));
    it('accepts ES384 by a key on P-384', async () =>
      accepts({ by: await Tpm.create({}, { name: 'ECDSA', namedCurve: 'P-384' }), alg: COSE.ES384 }));

    it('accepts RS1 (SHA-1), and trusts it where the relying party’s allowSha1Tpm says so', async () => {
      const what = { by: windows, alg: RS1 };
      expect(await ceremony(what)).toEqual({
        format: 'tpm',
        trust: 'untrusted',
        distrust: { code: 'sha1', detail: expect.stringContaining('allowSha1Tpm is false') },
      });
      await accepts({ ...what, expected: { allowSha1Tpm: true } });
    });

    it('is stricter than the clause for the relying party: SHA-1 is trusted only where its policy allows it', async () => {
      expect(await ceremony({ by: windows, alg: RS1 })).toMatchObject({ trust: 'untrusted' });
    });

    it.each<[string, Ceremony]>([
      ['none', statement({ alg: undefined })],
      ['one that is not a number', statement({ alg: 'ES256' })],
      ['an unregistered one', statement({ alg: 7 })],
      ['that of another kind of key', statement({ alg: RS256 })],
      ['RS1 by a key on P-256', statement({ alg: RS1 })],
      ['EdDSA, which has no hash for extraData', statement({ alg: COSE.EdDSA })],
    ])('refuses %s', (_, what) => refuses(what));

    it('refuses an algorithm of the right key with another hash than extraData’s', () =>
      refuses({ by: windows, alg: RS256, shape: { statement: { alg: -258 } } }));
  });

  describe('x5c: the attestation identity key’s certificate and its chain', () => {
    it.each<[string, unknown]>([
      ['none', undefined],
      ['an empty list', []],
      ['a certificate outside of a list', Buffer.alloc(70, 1)],
      ['bytes that are not a certificate', [Buffer.alloc(70, 1)]],
      ['text', ['text']],
    ])('refuses %s', (_, x5c) => refuses(statement({ x5c })));
  });

  describe('§8.3.1 subject: empty', () => {
    it('refuses a subject', async () => refuses(await withAik({ subject: 'CN=TPM' })));
  });

  describe('§8.3.1 Subject Alternative Name: as TPMv2-EK-Profile §3.2.9 says, with manufacturer, model and version', () => {
    const named = (...names: x509.JsonGeneralName[]): Promise<Ceremony> =>
      withAik({ extensions: [makeAlternativeName(...names), makeUsages(AIK)] });
    const dns: x509.JsonGeneralName = { type: 'dns', value: 'tpm.example' };

    it('accepts each attribute in a set of its own', () => accepts({}));
    it('accepts all of them in one set', async () => accepts(await named(makeDirectoryName(TPM_NAME, '+'))));
    it('accepts them in another order', async () => accepts(await named(makeDirectoryName(TPM_NAME.toReversed()))));
    it('accepts a directoryName that is not the first name', async () =>
      accepts(await named(dns, makeDirectoryName(TPM_NAME))));
    it('accepts one behind another directoryName', async () =>
      accepts(await named(makeDirectoryName(['CN=Other']), makeDirectoryName(TPM_NAME))));
    it('accepts further attributes', async () => accepts(await named(makeDirectoryName([...TPM_NAME, 'CN=TPM']))));
    it('accepts a manufacturer whom no list knows: the path to a root says who made it', async () =>
      accepts(await named(makeDirectoryName(['2.23.133.2.1=id:00000000', ...TPM_NAME.slice(1)]))));

    it('refuses no such extension', async () => refuses(await withAik({ extensions: [makeUsages(AIK)] })));
    it('refuses one without a directoryName', async () => refuses(await named(dns)));
    it.each([0, 1, 2])('refuses one without attribute %i', async (index) =>
      refuses(await named(makeDirectoryName(TPM_NAME.toSpliced(index, 1)))),
    );
    it('refuses attributes that are spread over two names', async () =>
      refuses(await named(makeDirectoryName(TPM_NAME.slice(0, 1)), makeDirectoryName(TPM_NAME.slice(1)))));
    it('refuses one that cannot be read', async () =>
      refuses(
        await withAik({
          extensions: [new x509.Extension('2.5.29.17', true, Buffer.from('nonsense')), makeUsages(AIK)],
        }),
      ));
  });

  describe('§8.3.1 Extended Key Usage: contains tcg-kp-AIKCertificate (2.23.133.8.3)', () => {
    const used = (...extensions: x509.Extension[]): Promise<Ceremony> =>
      withAik({ extensions: [makeAlternativeName(makeDirectoryName(TPM_NAME)), ...extensions] });

    it('accepts it alone', async () => accepts(await used(makeUsages(AIK))));
    it('accepts it behind others', async () =>
      accepts(await used(makeUsages('1.3.6.1.5.5.7.3.2', '2.23.133.8.1', AIK))));
    it('refuses others', async () => refuses(await used(makeUsages('2.23.133.8.1'))));
    it('refuses none', async () => refuses(await used()));
  });

  describe('§8.3.1 Basic Constraints: cA is false', () => {
    it('refuses an authority', async () => refuses(await withAik({ ca: true })));
  });

  describe('§8.3.1 validity: not named, so a question of trust', () => {
    it('accepts a certificate that has ended, as untrusted', async () => {
      const what = await withAik({ notAfter: new Date(Date.now() - 1_000) });
      expect(await ceremony(what)).toMatchObject({ trust: 'untrusted', distrust: { code: 'not-valid-now' } });
    });
  });

  describe('id-fido-gen-ce-aaguid: where the certificate has it, the AAGUID of the authenticator data', () => {
    const withAaguid = (hex: string, critical = false): Promise<Ceremony> => {
      const extension = new x509.Extension('1.3.6.1.4.1.45724.1.1.4', critical, Buffer.from(`0410${hex}`, 'hex'));
      return withAik({ extensions: [makeAlternativeName(makeDirectoryName(TPM_NAME)), makeUsages(AIK), extension] });
    };
    const own = AAGUID.replaceAll('-', '');

    it('accepts it', async () => accepts(await withAaguid(own)));
    it('refuses that of another model', async () => refuses(await withAaguid('11'.repeat(16))));
    it('refuses a critical one', async () => refuses(await withAaguid(own, true)));
  });

  describe('pubArea: a TPMT_PUBLIC (TPM 2.0 Part 2 §12.2.4) of the credential’s key', () => {
    it.each(['ES256', 'ES384', 'ES512', 'RS256'] as const)('accepts a key for %s', (algorithm) =>
      accepts({ key: generateKey(algorithm) }),
    );

    it.each<[string, Buffer]>([
      ['ECDSA', Buffer.concat([encodeU16(0x18), encodeU16(0x0b)])],
      ['ECDAA and its count', Buffer.concat([encodeU16(0x1a), encodeU16(0x0b), encodeU16(1)])],
      ['ECDH', Buffer.concat([encodeU16(0x19), encodeU16(0x0b)])],
    ])('accepts an ECC key with the scheme %s', (_, scheme) => accepts(shaped({ scheme })));

    it.each<[string, Buffer]>([
      ['RSASSA', Buffer.concat([encodeU16(0x14), encodeU16(0x0b)])],
      ['RSAPSS', Buffer.concat([encodeU16(0x16), encodeU16(0x0c)])],
      ['RSAES, which has no hash', encodeU16(0x15)],
    ])('accepts an RSA key with the scheme %s', (_, scheme) =>
      accepts(shaped({ scheme }, { key: generateKey('RS256') })),
    );

    it('accepts a KDF, a symmetric algorithm and a policy', () =>
      accepts(
        shaped({
          kdf: Buffer.concat([encodeU16(0x20), encodeU16(0x0b)]),
          symmetric: Buffer.concat([encodeU16(0x06), encodeU16(128), encodeU16(0x43)]),
          authPolicy: Buffer.alloc(32, 7),
        }),
      ));

    it('accepts coordinates without their leading zeros (§11.2.5.1)', () =>
      accepts(shaped({ minimal: true }, { key: keyWithZero() })));
    it('accepts coordinates with them', () => accepts({ key: keyWithZero() }));
    it('accepts the exponent 65537 as it is, and as 0', () =>
      accepts(shaped({ exponent: 65_537 }, { key: generateKey('RS256') })));
    it.each([0x0c, 0x0d])('accepts the name algorithm %i', (nameAlg) => accepts(shaped({ nameAlg })));
    it.each<[string, number]>([
      ['fixedTPM', 1 << 1],
      ['fixedParent', 1 << 4],
      ['sensitiveDataOrigin', 1 << 5],
    ])('accepts a key without %s (Part 2 §8.3), as untrusted, also where allowSha1Tpm is true', async (_, bit) => {
      const unbound = shaped({ objectAttributes: 0x60472 & ~bit }, { by: windows, alg: RS1 });
      expect(await ceremony({ ...unbound, expected: { allowSha1Tpm: true } })).toMatchObject({
        trust: 'untrusted',
        distrust: { code: 'unguarded' },
      });
    });
    it('is stricter than the clause for the relying party: a key that may leave its TPM is not trusted', async () => {
      expect(await ceremony(shaped({ objectAttributes: 0x60440 }))).toMatchObject({ trust: 'untrusted' });
    });

    it('accepts a name made with SHA-1, as untrusted', async () => {
      expect(await ceremony(shaped({ nameAlg: 0x04 }))).toMatchObject({ distrust: { code: 'sha1' } });
    });

    it.each<[string, Ceremony]>([
      ['another key', { shape: { pubArea: (bytes) => Buffer.concat([bytes.subarray(0, -64), randomBytes(64)]) } }],
      ['another exponent', shaped({ exponent: 3 }, { key: generateKey('RS256') })],
      ['another curve', shaped({ curve: 4 })],
      ['a curve that is not known', shaped({ curve: 0x20 })],
      ['another type', shaped({ type: 0x08 })],
      ['a scheme that Part 2 does not define', shaped({ scheme: encodeU16(0x99) })],
      ['a scheme without its hash', shaped({ scheme: encodeU16(0x18) })],
      ['a KDF that Part 2 does not define', shaped({ kdf: encodeU16(0x99) })],
      ['a name algorithm that does not hash', shaped({ nameAlg: 0x10 })],
      [
        'a coordinate with a byte too many',
        {
          shape: {
            pubArea: (bytes) =>
              Buffer.concat([bytes.subarray(0, -66), encodeSized(Buffer.alloc(33)), encodeSized(Buffer.alloc(32))]),
          },
        },
      ],
      ['a byte too few', { shape: { pubArea: (bytes) => bytes.subarray(0, -1) } }],
      ['a byte too many', { shape: { pubArea: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) } }],
      ['nothing', { shape: { pubArea: () => Buffer.alloc(0) } }],
      ['none', statement({ pubArea: undefined })],
      ['text', statement({ pubArea: 'text' })],
    ])('refuses %s', (_, what) => refuses(what));

    it('is stricter than the clause for the project: keys on other curves cannot sign in here', () =>
      refuses(shaped({ curve: 0x10 })));
  });

  describe('certInfo: a TPMS_ATTEST of the type TPM_ST_ATTEST_CERTIFY', () => {
    it('accepts any signer, clock and firmware', () => accepts(shaped({ qualifiedSigner: Buffer.alloc(0) })));

    it.each<[string, TpmShape]>([
      ['another magic', { magic: 0xff544348 }],
      ['a quote', { attestType: 0x8018 }],
      ['the hash of other data', { extraData: randomBytes(32) }],
      ['no hash', { extraData: Buffer.alloc(0) }],
      ['a hash cut short', { extraData: Buffer.alloc(16) }],
      ['the name of another object', { name: Buffer.concat([encodeU16(0x0b), randomBytes(32)]) }],
      ['the name in another algorithm', { name: Buffer.concat([encodeU16(0x0c), randomBytes(48)]) }],
      ['no name', { name: Buffer.alloc(0) }],
      ['a byte too few', { certInfo: (bytes) => bytes.subarray(0, -1) }],
      ['a byte too many', { certInfo: (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]) }],
      ['none', { statement: { certInfo: undefined } }],
    ])('refuses %s', (_, shape) => refuses(shaped(shape)));
  });

  describe('sig: a TPMT_SIGNATURE (TPM 2.0 Part 2 §11.3.4) over certInfo', () => {
    const rsassa = (sig: Buffer): Buffer => Buffer.concat([encodeU16(0x14), encodeU16(0x0b), encodeSized(sig)]);
    /** r and s of an ECDSA-Sig-Value. */
    const ecdsa = (der: Buffer): Buffer => {
      const r = der.subarray(4, 4 + der[3]!);
      return Buffer.concat([encodeU16(0x18), encodeU16(0x0b), encodeSized(r), encodeSized(der.subarray(6 + r.length))]);
    };

    it('accepts the structure around RSA', () => accepts({ by: windows, alg: RS256, shape: { sig: rsassa } }));
    it('accepts the structure around ECDSA', () => accepts(shaped({ sig: ecdsa })));
    it('accepts the bare signature, which Windows and the specification’s own vectors have', () => accepts({}));

    it.each<[string, TpmShape]>([
      [
        'one that does not hold',
        { sig: (bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]) },
      ],
      ['a structure whose signature does not hold', { sig: () => ecdsa(Buffer.from('3006020101020101', 'hex')) }],
      ['a structure with a byte behind', { sig: (bytes) => Buffer.concat([ecdsa(bytes), Buffer.alloc(1)]) }],
      [
        'a structure of another algorithm',
        { sig: (bytes) => Buffer.concat([encodeU16(0x05), ecdsa(bytes).subarray(2)]) },
      ],
      ['nothing', { sig: () => Buffer.alloc(0) }],
      ['none', { statement: { sig: undefined } }],
      ['text', { statement: { sig: 'text' } }],
    ])('refuses %s', (_, shape) => refuses(shaped(shape)));
  });

  it('the detail says in words what came and what was expected', async () => {
    const detail = 'certInfo has the type 0x8018, not TPM_ST_ATTEST_CERTIFY (0x8017)';
    await expect(ceremony(shaped({ attestType: 0x8018 }))).rejects.toMatchObject({ detail, clause: '§7.1 step 22' });
    const usage = 'is not for attestation identity keys (2.23.133.8.3), but for nothing';
    const without = await withAik({ extensions: [makeAlternativeName(makeDirectoryName(TPM_NAME))] });
    await expect(ceremony(without)).rejects.toMatchObject({ detail: expect.stringContaining(usage) });
  });
});
