import { randomBytes } from 'node:crypto';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import { encode } from 'cborg';
import { encodeAuthenticatorData, sha256 } from './authenticator-data.js';
import type { AssertionInterference, CreationInterference, Interference } from './interference.js';
import { COSE, takePooledKey, signWith } from './keys.js';
import { type Model, type Passkey, SYNCED_PLATFORM } from './model.js';

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

/** A client and an authenticator in one: answers options as `PublicKeyCredential.toJSON()` does in a browser. */
export class Authenticator {
  readonly model: Model;
  readonly passkeys: Passkey[] = [];

  constructor(model: Partial<Model> = {}) {
    this.model = { ...SYNCED_PLATFORM, ...model };
  }

  /** The newest passkey. */
  get newest(): Passkey {
    const passkey = this.passkeys.at(-1);
    if (!passkey) throw new Error('this authenticator has made no passkey yet');
    return passkey;
  }

  create(
    options: PublicKeyCredentialCreationOptionsJSON,
    origin: string,
    interference: CreationInterference = {},
  ): RegistrationResponseJSON {
    const rpId = options.rp.id ?? new URL(origin).hostname;
    const key = interference.key ?? takePooledKey(this.model.algorithm);
    const id = interference.credentialId ?? randomBytes(32);
    const passkey = { id, rpId, userHandle: Buffer.from(options.user.id, 'base64url'), key, signCount: 0 };
    this.passkeys.push(passkey);

    const clientData = encodeClientData('webauthn.create', options.challenge, origin, interference);
    const authenticatorData = this.authenticatorData(passkey, interference, {
      aaguid: interference.aaguid ?? this.model.aaguid,
      credentialId: id,
      coseKey: interference.coseKey ?? key.cose,
    });
    const attest = interference.attestation ?? this.model.attestation;
    const statement = attest({ rpId, credentialId: id, key, authenticatorData, clientDataHash: sha256(clientData) });
    const attestationObject = Buffer.from(encode({ ...statement, authData: authenticatorData }));
    return {
      ...this.credential(id, interference, { credProps: { rk: true } }),
      response: {
        clientDataJSON: base64url(clientData),
        attestationObject: base64url(interference.attestationObject?.(attestationObject) ?? attestationObject),
        authenticatorData: base64url(authenticatorData),
        transports: this.model.transports,
        publicKeyAlgorithm: COSE[key.algorithm],
        publicKey: base64url(key.spki),
        ...interference.response,
      },
    } as RegistrationResponseJSON;
  }

  get(
    options: PublicKeyCredentialRequestOptionsJSON,
    origin: string,
    interference: AssertionInterference = {},
  ): AuthenticationResponseJSON {
    const passkey = interference.passkey ?? this.choose(options);
    if (this.model.counts) passkey.signCount += 1;
    const clientData = encodeClientData('webauthn.get', options.challenge, origin, interference);
    const authenticatorData = this.authenticatorData(passkey, interference);
    const signature = signWith(passkey.key, Buffer.concat([authenticatorData, sha256(clientData)]));
    const userHandle = interference.userHandle === undefined ? passkey.userHandle : interference.userHandle;
    return {
      ...this.credential(passkey.id, interference, {}),
      response: {
        clientDataJSON: base64url(clientData),
        authenticatorData: base64url(authenticatorData),
        signature: base64url(interference.signature?.(signature) ?? signature),
        ...(userHandle === null ? {} : { userHandle: base64url(userHandle) }),
        ...interference.response,
      },
    } as AuthenticationResponseJSON;
  }

  private choose({ rpId, allowCredentials = [] }: PublicKeyCredentialRequestOptionsJSON): Passkey {
    const allowed = new Set(allowCredentials.map(({ id }) => id));
    const passkey = this.passkeys.findLast(
      ({ id, rpId: own }) => own === rpId && (allowed.size === 0 || allowed.has(base64url(id))),
    );
    if (!passkey) throw new Error('NotAllowedError: no passkey here answers these options');
    return passkey;
  }

  private authenticatorData(
    passkey: Passkey,
    { rpId, flags, signCount, extensions, authenticatorData }: Interference,
    attested?: { aaguid: string; credentialId: Buffer; coseKey: Buffer },
  ): Buffer {
    const bytes = encodeAuthenticatorData({
      rpId: rpId ?? passkey.rpId,
      flags: {
        UP: true,
        UV: true,
        BE: this.model.backupEligible,
        BS: this.model.backedUp,
        AT: attested !== undefined,
        ED: extensions !== undefined,
        ...flags,
      },
      signCount: signCount ?? passkey.signCount,
      ...(attested ? { attested } : {}),
      ...(extensions ? { extensions } : {}),
    });
    return authenticatorData?.(bytes) ?? bytes;
  }

  private credential(id: Buffer, { credential }: Interference, clientExtensionResults: object): object {
    return {
      id: base64url(id),
      rawId: base64url(id),
      type: 'public-key',
      authenticatorAttachment: this.model.attachment,
      clientExtensionResults,
      ...credential,
    };
  }
}

/** Writes type, challenge, origin and crossOrigin in the order of WebAuthn L3 §5.8.1.1. */
function encodeClientData(type: string, challenge: string, origin: string, interference: Interference): Buffer {
  const honest = { type, challenge, origin, crossOrigin: false };
  const json = JSON.stringify({ ...honest, ...interference.clientData });
  const { clientDataJson = json } = interference;
  return Buffer.from(typeof clientDataJson === 'function' ? clientDataJson(json) : clientDataJson);
}
