import type { components } from './contract.ts';

type Schemas = components['schemas'];
type CreationOptions = Schemas['PublicKeyCredentialCreationOptionsJSON'];
type RequestOptions = Schemas['PublicKeyCredentialRequestOptionsJSON'];

/*
 * The contract lets an authenticator report a transport or a format that nobody knows yet. @simplewebauthn/browser has
 * closed lists of both, so the options have them here, too; a browser ignores the values that it does not know.
 */
type Transport = 'ble' | 'cable' | 'hybrid' | 'internal' | 'nfc' | 'smart-card' | 'usb';
type Format = 'android-key' | 'android-safetynet' | 'apple' | 'fido-u2f' | 'none' | 'packed' | 'tpm';

interface DescriptorJSON {
  type: 'public-key';
  id: string;
  transports?: Transport[];
}

/** The options for `startRegistration()` of @simplewebauthn/browser, and for `parseCreationOptionsFromJSON()`. */
export type CreationOptionsJSON = Omit<CreationOptions, 'excludeCredentials' | 'attestationFormats'> & {
  excludeCredentials: DescriptorJSON[];
  attestationFormats?: Format[];
};

/** The options for `startAuthentication()` of @simplewebauthn/browser, and for `parseRequestOptionsFromJSON()`. */
export type RequestOptionsJSON = Omit<RequestOptions, 'allowCredentials'> & { allowCredentials: DescriptorJSON[] };

export type RegistrationChallenge = Omit<Schemas['RegistrationChallenge'], 'publicKey'> & {
  publicKey: CreationOptionsJSON;
};
export type AuthenticationChallenge = Omit<Schemas['AuthenticationChallenge'], 'publicKey'> & {
  publicKey: RequestOptionsJSON;
};
export type ConfirmationChallenge = Omit<Schemas['ConfirmationChallenge'], 'publicKey'> & {
  publicKey: RequestOptionsJSON;
};

/** lib.dom types `type` as text. */
type AnyType<Response> = Omit<Response, 'type'> & { type: string };

/**
 * What `PublicKeyCredential.toJSON()` returns after either ceremony: lib.dom does not say after which. The service
 * refuses the answer of the other ceremony as `request-malformed`.
 */
export type PublicKeyCredentialJSON =
  AnyType<Schemas['RegistrationResponseJSON']> | AnyType<Schemas['AuthenticationResponseJSON']>;

export type RegistrationRequest = Omit<Schemas['RegistrationRequest'], 'response'> & {
  response: PublicKeyCredentialJSON;
};
export type AuthenticationRequest = Omit<Schemas['AuthenticationRequest'], 'response'> & {
  response: PublicKeyCredentialJSON;
};
export type ConfirmationRequest = Omit<Schemas['ConfirmationRequest'], 'response'> & {
  response: PublicKeyCredentialJSON;
};
export type PaymentAnswer = Omit<Schemas['PaymentAnswer'], 'response'> & {
  response: PublicKeyCredentialJSON;
};
