import type { AuthenticationChallenge, PasskeyManager, RegistrationChallenge } from '@passkey-manager/client';
import {
  type PaymentAnswer,
  type PaymentRequestJSON,
  toPaymentAnswer,
  toPaymentRequest,
} from '@passkey-manager/client/payment';
import { startAuthentication, startRegistration } from '@simplewebauthn/browser';

/*
 * The types of the client, of lib.dom and of the library fit each other without a cast. Nothing runs this file: in an
 * application, one half is in the page and the other in auth-service.
 */

export async function registerByLibrary(passkeys: PasskeyManager, issued: RegistrationChallenge): Promise<string> {
  const response = await startRegistration({ optionsJSON: issued.publicKey, useAutoRegister: true });
  return (await passkeys.registerCredential({ challengeId: issued.challengeId, response })).id;
}

export async function signInByLibrary(passkeys: PasskeyManager, issued: AuthenticationChallenge): Promise<string> {
  const response = await startAuthentication({ optionsJSON: issued.publicKey, useBrowserAutofill: true });
  return (await passkeys.verifyAuthentication({ challengeId: issued.challengeId, response })).userId;
}

export async function registerByBrowser(passkeys: PasskeyManager, issued: RegistrationChallenge): Promise<string> {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(issued.publicKey);
  const credential = await navigator.credentials.create({ publicKey });
  if (!(credential instanceof PublicKeyCredential)) throw new TypeError('the browser made no passkey');
  const response = credential.toJSON();
  return (await passkeys.registerCredential({ challengeId: issued.challengeId, response })).id;
}

export async function signInByBrowser(passkeys: PasskeyManager, issued: AuthenticationChallenge): Promise<string> {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(issued.publicKey);
  const credential = await navigator.credentials.get({ publicKey });
  if (!(credential instanceof PublicKeyCredential)) throw new TypeError('the browser has no passkey');
  const response = credential.toJSON();
  return (await passkeys.verifyAuthentication({ challengeId: issued.challengeId, response })).userId;
}

export async function confirmPayment(issued: PaymentRequestJSON): Promise<PaymentAnswer> {
  const response = await new PaymentRequest(...toPaymentRequest(issued)).show();
  await response.complete('success');
  return toPaymentAnswer(response);
}

export async function tellTheBrowser(passkeys: PasskeyManager, userId: string, rpId: string): Promise<void> {
  const { allAcceptedCredentials, otherHandles = [] } = await passkeys.getUserSignals(userId, rpId);
  for (const accepted of [allAcceptedCredentials, ...otherHandles]) {
    await PublicKeyCredential.signalAllAcceptedCredentials(accepted);
  }
}
