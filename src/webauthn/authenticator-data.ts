import { hash } from 'node:crypto';
import { decodeFirst } from './cbor.js';
import { MAX_KEY_BYTES } from './cose.js';
import { Refusal, refuseUnless, type Section, step } from './refusal.js';

/** The decoded authenticator data (WebAuthn L3 §6.1). */
export interface AuthenticatorData {
  readonly rpIdHash: Buffer;
  readonly userPresent: boolean;
  readonly userVerified: boolean;
  readonly backupEligible: boolean;
  readonly backedUp: boolean;
  readonly signCount: number;
  readonly attested: AttestedCredentialData | undefined;
}

/** The attested credential data (WebAuthn L3 §6.5.1). */
export interface AttestedCredentialData {
  /** Lower-case UUID. */
  readonly aaguid: string;
  readonly credentialId: Buffer;
  /** The bytes of the COSE_Key. */
  readonly publicKey: Buffer;
  /** The members of the COSE_Key. */
  readonly key: ReadonlyMap<unknown, unknown>;
}

const UP = 0x01;
const UV = 0x04;
const BE = 0x08;
const BS = 0x10;
const AT = 0x40;
const ED = 0x80;
const HEADER_BYTES = 37;
const ATTESTED_HEADER_BYTES = 18;

/** @throws Refusal malformed when a byte is missing or left over */
export function parseAuthenticatorData(bytes: Buffer): AuthenticatorData {
  refuseUnless(
    bytes.length >= HEADER_BYTES,
    'malformed',
    `authenticator data has ${String(bytes.length)} bytes, not 37 or more`,
  );
  const flags = bytes[32]!;
  let rest = bytes.subarray(HEADER_BYTES);
  let attested: AttestedCredentialData | undefined;
  if (flags & AT) [attested, rest] = parseAttested(rest);
  if (flags & ED) {
    const [extensions, left] = decodeFirst(rest, 'extensions');
    refuseUnless(
      extensions instanceof Map,
      'malformed',
      'the extension outputs of the authenticator data are not a CBOR map',
    );
    rest = left;
  }
  refuseUnless(rest.length === 0, 'malformed', `authenticator data has ${String(rest.length)} bytes too many`);
  return {
    rpIdHash: bytes.subarray(0, 32),
    userPresent: (flags & UP) !== 0,
    userVerified: (flags & UV) !== 0,
    backupEligible: (flags & BE) !== 0,
    backedUp: (flags & BS) !== 0,
    signCount: bytes.readUInt32BE(33),
    attested,
  };
}

function parseAttested(bytes: Buffer): [AttestedCredentialData, Buffer] {
  refuseUnless(
    bytes.length > ATTESTED_HEADER_BYTES,
    'malformed',
    'the authenticator data ends within the new credential',
  );
  const idLength = bytes.readUInt16BE(16);
  const keyStart = ATTESTED_HEADER_BYTES + idLength;
  if (idLength === 0 || idLength > 1_023)
    throw new Refusal('credential-id-invalid', `the credential id has ${String(idLength)} bytes, not 1 to 1,023`);
  refuseUnless(bytes.length > keyStart, 'malformed', 'the authenticator data ends within the new credential');
  const [key, rest] = decodeFirst(bytes.subarray(keyStart), 'credential public key');
  refuseUnless(key instanceof Map, 'malformed', 'the credential public key is not a CBOR map (COSE_Key)');
  const publicKey = bytes.subarray(keyStart, bytes.length - rest.length);
  const size = `the key has ${String(publicKey.length)} bytes, more than ${String(MAX_KEY_BYTES)}`;
  refuseUnless(publicKey.length <= MAX_KEY_BYTES, 'public-key-invalid', size);
  const hex = bytes.toString('hex', 0, 16);
  return [
    {
      aaguid: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
      credentialId: bytes.subarray(ATTESTED_HEADER_BYTES, keyStart),
      publicKey,
      key: key as ReadonlyMap<unknown, unknown>,
    },
    rest,
  ];
}

/** The number of the first of the four steps that both ceremonies have for authenticator data, in the same order. */
const FIRST_STEP: Readonly<Record<Section, number>> = { '§7.1': 14, '§7.2': 15 };

/**
 * Verifies the RP ID, user presence, user verification and the backup flags: WebAuthn L3 §7.1 steps 14-17, §7.2 steps
 * 15-18.
 *
 * @throws Refusal
 */
export function verifyAuthenticatorData(
  section: Section,
  data: AuthenticatorData,
  expected: { rpId: string; requireUserPresence: boolean; requireUserVerification: boolean },
): void {
  const first = FIRST_STEP[section];
  step(section, first, () => {
    const ours = data.rpIdHash.equals(hash('sha256', expected.rpId, 'buffer'));
    refuseUnless(ours, 'rp-id-mismatch', `the authenticator answered for another RP ID than ${expected.rpId}`);
  });
  step(section, first + 1, () => {
    refuseUnless(
      data.userPresent || !expected.requireUserPresence,
      'user-presence-missing',
      'the authenticator did not test that a user is present (the flag UP is 0), which the ceremony demands',
    );
  });
  step(section, first + 2, () => {
    refuseUnless(
      data.userVerified || !expected.requireUserVerification,
      'user-verification-missing',
      'the authenticator did not verify the user by PIN or biometrics (the flag UV is 0), which the policy demands',
    );
  });
  step(section, first + 3, () => {
    refuseUnless(
      data.backupEligible || !data.backedUp,
      'backup-flags-invalid',
      'the authenticator says that the passkey is backed up (BS is 1), but that it cannot be (BE is 0)',
    );
  });
}
