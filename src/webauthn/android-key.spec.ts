import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import { id_ce_keyDescription, IntegerSet, SecurityLevel } from '@peculiar/asn1-android';
import * as x509 from '@peculiar/x509';
import { Constructed, fromBER, Integer, Null, OctetString, Sequence, Set as AsnSet } from 'asn1js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AndroidDevice,
  FUTURE_LEVEL,
  HARDWARE,
  type KeyClaims,
  encodeKeyDescription,
  SIGN_ONLY,
} from '../../test/support/authenticator/android-key.js';
import { type Attestation, falsified } from '../../test/support/authenticator/attestation.js';
import { type AlgorithmName, COSE, type CredentialKey, generateKey } from '../../test/support/authenticator/keys.js';
import { ClosedNetwork } from '../../test/support/closed-network.js';
import { expectRefusal, ORIGIN, runRegistration } from '../../test/support/pure-ceremonies.js';
import type { VerifiedRegistration } from './verify-registration.js';

const OTHER_HASH = createHash('sha256').update('other').digest();

let device: AndroidDevice;
let network: ClosedNetwork;
beforeAll(async () => {
  device = await AndroidDevice.create();
  network = new ClosedNetwork();
});
afterEach(() => {
  expect(network.attempts).toEqual([]);
});
afterAll(() => {
  network.open();
});

interface Ceremony {
  key?: CredentialKey;
  /** The key that the device says it attests. */
  attested?: CredentialKey;
  claims?: KeyClaims | x509.Extension[];
  falsify?: (attestation: Attestation) => Attestation;
  by?: AndroidDevice;
  roots?: string[];
}

/** The client data comes first, because the certificate holds its hash. */
async function ceremony(what: Ceremony = {}): Promise<VerifiedRegistration> {
  const { key = generateKey('ES256'), by = device, falsify = (each: Attestation) => each } = what;
  const challenge = randomBytes(32);
  const clientDataJson = JSON.stringify({
    type: 'webauthn.create',
    challenge: challenge.toString('base64url'),
    origin: ORIGIN,
  });
  const hash = createHash('sha256').update(clientDataJson).digest();
  const attestation = falsify(await by.attest(what.attested ?? key, hash, what.claims));
  return runRegistration({
    interference: { key, clientDataJson, attestation },
    expected: { challenge, roots: () => what.roots ?? [device.root.pem] },
  });
}

const accepts = async (what: Ceremony = {}): Promise<void> => {
  const { attestation } = await ceremony(what);
  expect(attestation).toEqual({ format: 'android-key', trust: 'trusted', root: 'CN=Android Root' });
};
const refuses = (what: Ceremony): Promise<void> => expectRefusal(ceremony(what), 'attestation-invalid');
const distrusts = async (what: Ceremony, code: string): Promise<void> => {
  const { attestation } = await ceremony(what);
  expect(attestation).toMatchObject({ trust: 'untrusted', distrust: { code } });
};

const statement = (change: (attStmt: Record<string, unknown>) => Record<string, unknown>): Ceremony => ({
  falsify: (attestation) => falsified(attestation, ({ fmt, attStmt }) => ({ fmt, attStmt: change(attStmt) })),
});

/** An honest description with changed elements. The lists are the seventh and the eighth element. */
const described =
  (change: (fields: Sequence['valueBlock']['value']) => void) => async (): Promise<VerifiedRegistration> => {
    const key = generateKey('ES256');
    const challenge = randomBytes(32);
    const clientDataJson = JSON.stringify({
      type: 'webauthn.create',
      challenge: challenge.toString('base64url'),
      origin: ORIGIN,
    });
    const hash = createHash('sha256').update(clientDataJson).digest();
    const value = Buffer.from(encodeKeyDescription({ challenge: hash }).value);
    const { result } = fromBER(value);
    change((result as Sequence).valueBlock.value);
    const extension = new x509.Extension(id_ce_keyDescription, false, result.toBER());
    const attestation = await device.attest(key, hash, [extension]);
    const interference = { key, clientDataJson, attestation };
    return runRegistration({ interference, expected: { challenge, roots: () => [device.root.pem] } });
  };
const tag = (tagNumber: number, value: Constructed['valueBlock']['value'][number]): Constructed =>
  new Constructed({ idBlock: { tagClass: 3, tagNumber }, value: [value] });
const lists = (fields: Sequence['valueBlock']['value']): Sequence[] => fields.slice(6, 8) as Sequence[];

describe('WebAuthn L3 §8.4 Android Key attestation', () => {
  describe('alg and sig: over authenticator data and client data hash, by the key of the first certificate', () => {
    it.each(['ES256', 'ES384', 'RS256', 'EdDSA'] as AlgorithmName[])('accepts %s', (algorithm) =>
      accepts({ key: generateKey(algorithm) }),
    );

    it.each<[string, () => Ceremony]>([
      ['another algorithm', () => statement((attStmt) => ({ ...attStmt, alg: COSE.RS256 }))],
      ['no algorithm', () => statement(({ alg: _, ...attStmt }) => attStmt)],
      ['another signature', () => statement((attStmt) => ({ ...attStmt, sig: Buffer.alloc(70, 1) }))],
      [
        'a byte behind the signature',
        () => statement((attStmt) => ({ ...attStmt, sig: Buffer.concat([attStmt['sig'] as Buffer, Buffer.alloc(1)]) })),
      ],
      ['a signature as text', () => statement((attStmt) => ({ ...attStmt, sig: 'text' }))],
      ['no signature', () => statement(({ sig: _, ...attStmt }) => attStmt)],
      [
        'other authenticator data',
        () => ({
          falsify: (attestation) => (attested) => attestation({ ...attested, authenticatorData: Buffer.alloc(37) }),
        }),
      ],
    ])('refuses %s', (_, what) => refuses(what()));

    it('is stricter than the clause for the relying party: alg is the credential’s own, whatever else its key could sign in', () =>
      refuses({ key: generateKey('RS256'), ...statement((attStmt) => ({ ...attStmt, alg: COSE.PS256 })) }));
  });

  describe('x5c: credCert and its chain', () => {
    it('accepts it with the root', () =>
      accepts(
        statement((attStmt) => ({ ...attStmt, x5c: [...(attStmt['x5c'] as Buffer[]), device.root.certificate.raw] })),
      ));
    it('accepts a chain that ends in no known root, as untrusted', () => distrusts({ roots: [] }, 'root-unknown'));
    it('accepts a chain of another maker under the same name, as untrusted', async () =>
      distrusts({ by: await AndroidDevice.create() }, 'path-invalid'));
    it('accepts a chain with a certificate that has ended, as untrusted', async () => {
      const by = await AndroidDevice.create({ notAfter: new Date(Date.now() - 1) });
      await distrusts({ by, roots: [by.root.pem] }, 'not-valid-now');
    });

    it.each<[string, () => Ceremony]>([
      ['none', () => statement(({ x5c: _, ...attStmt }) => attStmt)],
      ['an empty chain', () => statement((attStmt) => ({ ...attStmt, x5c: [] }))],
      [
        'a chain turned round',
        () => statement((attStmt) => ({ ...attStmt, x5c: [...(attStmt['x5c'] as Buffer[])].reverse() })),
      ],
      [
        'a byte behind a certificate',
        () =>
          statement((attStmt) => ({
            ...attStmt,
            x5c: (attStmt['x5c'] as Buffer[]).map((der) => Buffer.concat([der, Buffer.alloc(1)])),
          })),
      ],
    ])('refuses %s', (_, what) => refuses(what()));

    it('is stricter than the clause for the relying party: a certificate that signed the key describes none itself, so that no key can vouch for another', async () => {
      const attestedAuthority = await AndroidDevice.create({
        extensions: [encodeKeyDescription({ challenge: OTHER_HASH })],
      });
      await expect(ceremony({ by: attestedAuthority })).rejects.toMatchObject({
        detail: 'a certificate that signed the key describes a key itself',
      });
    });
  });

  describe('the key of the first certificate: the credential’s', () => {
    it('refuses another key', () => refuses({ attested: generateKey('ES256') }));
  });

  describe('attestationChallenge: the client data hash', () => {
    it('refuses another one', () => refuses({ claims: { challenge: OTHER_HASH } }));
    it('refuses none', () => refuses({ claims: { challenge: Buffer.alloc(0) } }));
  });

  describe('allApplications: in neither list', () => {
    it('refuses it in the hardware’s', () => refuses({ claims: { hardware: { ...HARDWARE, allApplications: null } } }));
    it('refuses it in the software’s', () => refuses({ claims: { software: { allApplications: null } } }));
  });

  describe('origin: KM_ORIGIN_GENERATED', () => {
    it.each([1, 2, 3, 4])('refuses %i in the hardware’s list', (origin) =>
      refuses({ claims: { hardware: { ...HARDWARE, origin } } }),
    );
    it('refuses another one in the software’s list', () => refuses({ claims: { software: { origin: 2 } } }));
    it('accepts none, as untrusted', () => distrusts({ claims: { hardware: { purpose: SIGN_ONLY } } }, 'unguarded'));
  });

  describe('purpose: KM_PURPOSE_SIGN', () => {
    const hardware = (...purposes: number[]): Ceremony => ({
      claims: { hardware: { ...HARDWARE, purpose: new IntegerSet(purposes) } },
    });
    it.each<[string, Ceremony]>([
      ['decryption', hardware(1)],
      ['signing and decryption', hardware(1, 2)],
      ['nothing', hardware()],
      ['attestation of others, says the software', { claims: { software: { purpose: new IntegerSet([7]) } } }],
    ])('refuses a key for %s', (_, what) => refuses(what));
    it('accepts none, as untrusted', () => distrusts({ claims: { hardware: { origin: 0 } } }, 'unguarded'));
  });

  describe('whose word counts: both lists, or the trusted environment’s where only that is trusted', () => {
    it.each([SecurityLevel.trustedEnvironment, SecurityLevel.strongBox])('accepts the security level %i', (level) =>
      accepts({ claims: { level } }),
    );
    it.each<[string, KeyClaims]>([
      ['that software makes', { level: SecurityLevel.software }],
      ['that software attests', { level: SecurityLevel.software, keymasterLevel: SecurityLevel.trustedEnvironment }],
      ['that software keeps', { keymasterLevel: SecurityLevel.software }],
      ['of an unknown security level', { level: FUTURE_LEVEL }],
      ['about which both lists are silent', { hardware: {} }],
      ['whose lists software enforces', { hardware: {}, software: HARDWARE }],
    ])('accepts a key %s, as untrusted', (_, claims) => distrusts({ claims }, 'unguarded'));
  });

  describe('everything else in the key description: not named by the clause', () => {
    it.each<[string, (fields: Sequence['valueBlock']['value']) => void]>([
      [
        'a tag that no version of Android has',
        (fields) => lists(fields)[1]!.valueBlock.value.push(tag(99_999, new Integer({ value: 1 }))),
      ],
      [
        'one in the software’s list',
        (fields) => lists(fields)[0]!.valueBlock.value.unshift(tag(726, new OctetString())),
      ],
      ['one of a kind of its own', (fields) => lists(fields)[1]!.valueBlock.value.push(new Integer({ value: 1 }))],
      [
        'one between the others',
        (fields) =>
          lists(fields)[1]!.valueBlock.value.splice(1, 0, tag(42, new Sequence({ value: [tag(1, new Null())] }))),
      ],
      [
        'a root of trust with a field that is new',
        (fields) =>
          lists(fields)[1]!.valueBlock.value.push(
            tag(704, new Sequence({ value: [new OctetString(), new Integer({ value: 1 }), tag(9, new Null())] })),
          ),
      ],
      ['a field behind the two lists', (fields) => fields.push(new Sequence({ value: [tag(1, new AsnSet())] }))],
      ['another version', (fields) => fields.splice(0, 1, new Integer({ value: 4_000 }))],
    ])('accepts %s, unread', async (_, change) => {
      expect((await described(change)()).attestation).toMatchObject({ trust: 'trusted' });
    });

    const purpose = tag(1, new AsnSet({ value: [new Integer({ value: 2 })] }));
    it.each<[string, (fields: Sequence['valueBlock']['value']) => void]>([
      ['a field that is named, twice in a list', (fields) => lists(fields)[1]!.valueBlock.value.push(purpose)],
      [
        'a purpose outside of a set',
        (fields) => lists(fields)[0]!.valueBlock.value.push(tag(1, new Integer({ value: 2 }))),
      ],
      ['an origin that is not an integer', (fields) => lists(fields)[0]!.valueBlock.value.push(tag(702, new Null()))],
      [
        'a tag with two elements',
        (fields) =>
          lists(fields)[0]!.valueBlock.value.push(
            new Constructed({
              idBlock: { tagClass: 3, tagNumber: 702 },
              value: [new Integer({ value: 0 }), new Integer({ value: 0 })],
            }),
          ),
      ],
      ['no second list', (fields) => fields.pop()],
      ['a challenge that is not an OCTET STRING', (fields) => fields.splice(4, 1, new Null())],
    ])('refuses %s', (_, change) => expectRefusal(described(change)(), 'attestation-invalid'));

    const honest = { challenge: OTHER_HASH };
    it.each<[string, x509.Extension[]]>([
      ['no description', []],
      ['a description of nonsense', [new x509.Extension(id_ce_keyDescription, false, Buffer.from('nonsense'))]],
      [
        'one cut short',
        [
          new x509.Extension(
            id_ce_keyDescription,
            false,
            new Uint8Array(encodeKeyDescription(honest).value).slice(0, 20),
          ),
        ],
      ],
      [
        'one with a byte behind',
        [
          new x509.Extension(
            id_ce_keyDescription,
            false,
            Buffer.concat([Buffer.from(encodeKeyDescription(honest).value), Buffer.alloc(1)]),
          ),
        ],
      ],
    ])('refuses %s', (_, claims) => refuses({ claims }));

    it.each<[string, (whole: Buffer) => Buffer]>([
      ['it is empty', () => Buffer.alloc(0)],
      ['it is cut short, or not DER', (whole) => whole.subarray(0, 1)],
      ['it is cut short, or not DER', (whole) => whole.subarray(0, 20)],
      ['it is cut short, or not DER', (whole) => whole.subarray(0, -1)],
      ['bytes are left over', (whole) => Buffer.concat([whole, Buffer.alloc(1)])],
    ])('refuses one that cannot be read, and says why: %s', async (cause, change) => {
      const value = change(Buffer.from(encodeKeyDescription(honest).value));
      const claims = [new x509.Extension(id_ce_keyDescription, false, value)];
      const detail = `the key description cannot be read: ${cause}`;
      await expect(ceremony({ claims })).rejects.toMatchObject({ detail });
    });

    it('refuses a second description, whatever its challenge', async () => {
      const challenge = randomBytes(32);
      const clientDataJson = JSON.stringify({
        type: 'webauthn.create',
        challenge: challenge.toString('base64url'),
        origin: ORIGIN,
      });
      const hash = createHash('sha256').update(clientDataJson).digest();
      for (const second of [OTHER_HASH, hash]) {
        const key = generateKey('ES256');
        const extensions = [hash, second].map((each) => encodeKeyDescription({ challenge: each }));
        const interference = { key, clientDataJson, attestation: await device.attest(key, hash, extensions) };
        await expect(
          runRegistration({ interference, expected: { challenge, roots: () => [device.root.pem] } }),
        ).rejects.toMatchObject({ detail: 'x5c[0] has an extension twice' });
      }
    });
  });

  it.each<[string, () => Ceremony]>([
    ['the certificate’s key is not the key of the credential', () => ({ attested: generateKey('ES256') })],
    ['the attestation challenge is not the hash of the client data', () => ({ claims: { challenge: OTHER_HASH } })],
    [
      'Android says that every app may use the key (allApplications), not the browser alone',
      () => ({ claims: { software: { allApplications: null } } }),
    ],
    [
      'Android says that the key was imported into the device (origin), not generated there',
      () => ({ claims: { software: { origin: 2 } } }),
    ],
    [
      'Android says that the key may do more than sign (purpose)',
      () => ({ claims: { software: { purpose: new IntegerSet([7]) } } }),
    ],
    ['the certificate lacks Android’s key description', () => ({ claims: [] })],
    [
      'the signature of the attestation statement was not made over this authenticator data and client data',
      () => statement((attStmt) => ({ ...attStmt, sig: Buffer.alloc(70, 1) })),
    ],
    [
      'the statement is signed with PS256 (-37), not with the key’s RS256 (-257)',
      () => ({ key: generateKey('RS256'), ...statement((attStmt) => ({ ...attStmt, alg: COSE.PS256 })) }),
    ],
  ])('says why it is refused: %s', async (detail, what) => {
    await expect(ceremony(what())).rejects.toMatchObject({ detail, clause: '§7.1 step 22' });
  });
});
