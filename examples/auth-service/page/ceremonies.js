import * as webauthn from '/vendor/simplewebauthn/index.js';
import { call } from './api.js';

/** True if the browser can keep and use passkeys at all. */
export const canUsePasskeys = webauthn.browserSupportsWebAuthn;

/** Ends the wait for the device. The ceremony then fails as if the user had cancelled at the device. */
export function cancelCeremony() {
  webauthn.WebAuthnAbortService.cancelCeremony();
}

/**
 * @param waiting a callback for the moment when the device is asked and `cancelCeremony` can end the wait
 * @param forPayments if the browser shall also offer it for payments in shops
 */
export async function createPasskey(waiting, forPayments) {
  const { challengeId, publicKey } = await call('POST', '/api/passkeys/challenge', { forPayments });
  const asked = webauthn.startRegistration({ optionsJSON: publicKey });
  waiting();
  const response = await asked;
  try {
    return await call('POST', '/api/passkeys', { challengeId, response, name: suggestName() });
  } finally {
    await signalAccepted(); // if the service has refused the passkey, the device can remove it
  }
}

/** @param waiting as for `createPasskey` */
export async function confirmPayment(path, waiting) {
  const { challengeId, publicKey } = await call('POST', `${path}/challenge`);
  const asked = webauthn.startAuthentication({ optionsJSON: publicKey });
  waiting();
  return call('POST', path, { challengeId, response: await asked });
}

/**
 * @param waiting as for `createPasskey`
 * @param former true for a passkey of the former relying party
 */
export async function signInWithPasskey(waiting, former = false) {
  const { challengeId, publicKey } = await call('POST', '/api/sign-in/passkey/challenge', { former });
  const asked = webauthn.startAuthentication({ optionsJSON: publicKey });
  waiting();
  return answer(challengeId, await asked);
}

const RENEW_BEFORE_EXPIRY_MS = 30_000;

/**
 * Lets the e-mail field offer passkeys until the user chooses one. It gets a new challenge whenever the last one is
 * about to expire. Nobody has asked for the offer, so if it cannot be made the page says nothing.
 *
 * @returns the user who signed in; undefined if there is no offer any more
 * @throws Refused if the user chose a passkey that is refused
 */
export async function signInByAutofill() {
  if (!(await webauthn.browserSupportsWebAuthnAutofill())) return undefined;
  for (;;) {
    const challenge = await call('POST', '/api/sign-in/passkey/challenge').catch((error) => console.debug(error));
    if (!challenge) return undefined;
    const { challengeId, publicKey, expiresAt } = challenge;
    let expired = false;
    const timer = window.setTimeout(
      () => {
        expired = true;
        cancelCeremony();
      },
      Math.max(Date.parse(expiresAt) - Date.now() - RENEW_BEFORE_EXPIRY_MS, 1_000),
    );
    const chosen = await webauthn
      .startAuthentication({ optionsJSON: publicKey, useBrowserAutofill: true })
      .catch((error) => console.debug(error))
      .finally(() => window.clearTimeout(timer));
    if (chosen) return answer(challengeId, chosen);
    if (!expired) return undefined;
  }
}

async function answer(challengeId, response) {
  try {
    return await call('POST', '/api/sign-in/passkey', { challengeId, response });
  } catch (error) {
    if (error.signal) await signalUnknown(error.signal.unknownCredential);
    throw error;
  }
}

/** Tells the browser which passkeys the service accepts, so that it can remove the others. */
export async function signalAccepted() {
  if (!globalThis.PublicKeyCredential?.signalAllAcceptedCredentials) return;
  const { allAcceptedCredentials, otherHandles = [] } = await call('GET', '/api/signals');
  for (const { rpId, userId, allAcceptedCredentialIds } of [allAcceptedCredentials, ...otherHandles]) {
    await webauthn
      .sendSignal({
        signalName: 'allAcceptedCredentials',
        rpID: rpId,
        userID: userId,
        allAcceptedCredentialIDs: allAcceptedCredentialIds,
      })
      .catch((error) => console.warn(error));
  }
}

async function signalUnknown({ rpId, credentialId }) {
  if (!globalThis.PublicKeyCredential?.signalUnknownCredential) return;
  await webauthn
    .sendSignal({ signalName: 'unknownCredential', rpID: rpId, credentialID: credentialId })
    .catch((error) => console.warn(error));
}

const BROWSERS = ['Edge', 'Opera', 'Firefox', 'Chrome', 'Chromium', 'Safari'];

/** Returns the name of a new passkey until the user renames it. */
function suggestName() {
  const { userAgentData, userAgent, platform } = window.navigator;
  const known = `${userAgentData?.brands.map(({ brand }) => brand).join(' ')} ${userAgent}`.replace('Edg/', 'Edge/');
  const browser = BROWSERS.find((name) => known.includes(name)) ?? 'Browser';
  return `${browser} on ${userAgentData?.platform || platform || 'this device'}`.slice(0, 64);
}
