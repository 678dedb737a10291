import 'reflect-metadata';
import { createPublicKey, type webcrypto } from 'node:crypto';
import {
  AuthorizationList,
  id_ce_keyDescription,
  IntegerSet,
  KeyDescription,
  SecurityLevel,
} from '@peculiar/asn1-android';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import * as x509 from '@peculiar/x509';
import type { Attestation } from './attestation.js';
import { issue, type Issued, type Profile } from './certificate-chain.js';
import { type AlgorithmName, COSE, type CredentialKey, signWith } from './keys.js';

/** The claims of Android's key store about a key. An absent member is as a WebAuthn client requests it. */
export interface KeyClaims {
  challenge?: Buffer;
  level?: SecurityLevel;
  keymasterLevel?: SecurityLevel;
  hardware?: Partial<AuthorizationList>;
  software?: Partial<AuthorizationList>;
}

/** A security level that Android does not define. */
export const FUTURE_LEVEL = JSON.parse('3') as SecurityLevel;

export const SIGN_ONLY = new IntegerSet([2]);
export const HARDWARE = { purpose: SIGN_ONLY, origin: 0 };

/** Encodes the extension of Android's key attestation certificates. */
export function encodeKeyDescription(claims: KeyClaims & { challenge: Buffer }): x509.Extension {
  const { challenge, level = SecurityLevel.trustedEnvironment, keymasterLevel = level } = claims;
  const description = new KeyDescription({
    attestationVersion: 300,
    attestationSecurityLevel: level,
    keymasterVersion: 300,
    keymasterSecurityLevel: keymasterLevel,
    attestationChallenge: new OctetString(challenge),
    uniqueId: new OctetString(),
    softwareEnforced: new AuthorizationList({ creationDateTime: 1_700_000_000_000, ...claims.software }),
    teeEnforced: new AuthorizationList(claims.hardware ?? HARDWARE),
  });
  return new x509.Extension(id_ce_keyDescription, false, AsnConvert.serialize(description));
}

/** A device: its key attests the credential keys that are made in it. */
export class AndroidDevice {
  readonly root: Issued;
  readonly batch: Issued;

  private constructor(root: Issued, batch: Issued) {
    [this.root, this.batch] = [root, batch];
  }

  static async create(batch: Profile = {}): Promise<AndroidDevice> {
    const root = await issue({ subject: 'CN=Android Root', ca: true });
    return new AndroidDevice(root, await issue({ subject: 'CN=Batch', ca: true, ...batch }, root));
  }

  /**
   * Certificates are made asynchronously and attestations are not, so the key and the client data's hash come first.
   *
   * @param claims gives the extensions of the leaf, when it is not an honest description
   */
  async attest(
    key: CredentialKey,
    clientDataHash: Buffer,
    claims: KeyClaims | x509.Extension[] = {},
  ): Promise<Attestation> {
    const extensions = Array.isArray(claims)
      ? claims
      : [encodeKeyDescription({ challenge: clientDataHash, ...claims })];
    const leaf = await issue({ subject: 'CN=Android Keystore Key', keys: toKeyPair(key), extensions }, this.batch);
    const x5c = [leaf, this.batch].map(({ certificate }) => certificate.raw);
    return (attested) => {
      const signed = Buffer.concat([attested.authenticatorData, attested.clientDataHash]);
      return { fmt: 'android-key', attStmt: { alg: COSE[key.algorithm], sig: signWith(key, signed), x5c } };
    };
  }
}

const ALGORITHMS: Partial<
  Record<AlgorithmName, webcrypto.EcKeyImportParams | webcrypto.RsaHashedImportParams | 'Ed25519'>
> = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  ES384: { name: 'ECDSA', namedCurve: 'P-384' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  EdDSA: 'Ed25519',
};

function toKeyPair({ algorithm, privateKey }: CredentialKey): webcrypto.CryptoKeyPair {
  const parameters = ALGORITHMS[algorithm];
  if (parameters === undefined) throw new Error(`Android's key store has no ${algorithm}`);
  const publicKey = createPublicKey(privateKey).toCryptoKey(parameters, true, ['verify']);
  return { publicKey, privateKey: privateKey.toCryptoKey(parameters, true, ['sign']) };
}
