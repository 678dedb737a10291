import type { components } from './contract.ts';

/*
 * For the page that asks its user to confirm a payment. This file needs nothing of Node.js.
 */

/** The members of a challenge for a payment that a page gives to its browser. */
export interface PaymentRequestJSON {
  readonly methodData: {
    readonly supportedMethods: string;
    readonly data: { readonly challenge: string; readonly credentialIds: readonly string[] };
  };
  readonly details: PaymentDetails;
}

export interface PaymentDetails {
  readonly total: { readonly label: string; readonly amount: { readonly currency: string; readonly value: string } };
}

/** The arguments of `new PaymentRequest()`. */
export type PaymentRequestArguments = [
  methodData: { supportedMethods: string; data: object }[],
  details: PaymentDetails,
];

/** `new PaymentRequest(...toPaymentRequest(challenge))`: makes base64url the bytes that the browser wants. */
export function toPaymentRequest({ methodData, details }: PaymentRequestJSON): PaymentRequestArguments {
  const { supportedMethods, data } = methodData;
  const [challenge, credentialIds] = [decode(data.challenge), data.credentialIds.map(decode)];
  return [[{ supportedMethods, data: { ...data, challenge, credentialIds } }], details];
}

/** What the browser has in `details` of a PaymentResponse. lib.dom calls it `any`. */
export interface PaymentCredential {
  readonly id: string;
  readonly rawId: ArrayBuffer;
  readonly authenticatorAttachment: string | null;
  readonly response: {
    readonly clientDataJSON: ArrayBuffer;
    readonly authenticatorData: ArrayBuffer;
    readonly signature: ArrayBuffer;
    readonly userHandle: ArrayBuffer | null;
  };
  getClientExtensionResults(): object;
}

export type PaymentAnswer = components['schemas']['AuthenticationResponseJSON'];

/**
 * Writes the answer of `PaymentRequest.show()` as JSON. Use it instead of `toJSON()`: that of Chromium 156 leaves out
 * the extension output `payment`, which has the signature of the browser-bound key.
 */
export function toPaymentAnswer({ details: credential }: { readonly details: PaymentCredential }): PaymentAnswer {
  const { id, rawId, authenticatorAttachment, response } = credential;
  const { clientDataJSON, authenticatorData, signature, userHandle } = response;
  return {
    id,
    rawId: encode(rawId),
    type: 'public-key',
    authenticatorAttachment,
    clientExtensionResults: toJson(credential.getClientExtensionResults()) as object,
    response: {
      clientDataJSON: encode(clientDataJSON),
      authenticatorData: encode(authenticatorData),
      signature: encode(signature),
      userHandle: userHandle && encode(userHandle),
    },
  };
}

/** Copies extension outputs with base64url for bytes. */
function toJson(value: unknown): unknown {
  if (value instanceof ArrayBuffer) return encode(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(toJson);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member)]));
}

function decode(base64url: string): Uint8Array<ArrayBuffer> {
  const bytes = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(bytes, (byte) => byte.charCodeAt(0));
}

function encode(bytes: ArrayBuffer): string {
  const text = Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
