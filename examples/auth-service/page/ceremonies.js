import * as webauthn from '/vendor/simplewebauthn/index.js';
import { call } from './api.js';

export async function createPasskey() {
  requireSupport();
  const { challengeId, publicKey } = await call('POST', '/api/passkeys/challenge');
  const response = await webauthn.startRegistration({ optionsJSON: publicKey });
  try {
    return await call('POST', '/api/passkeys', { challengeId, response, name: suggestName() });
  } finally {
    await signalAccepted(); // if the service has refused the passkey, the device can remove it
  }
}

export async function signInWithPasskey() {
  requireSupport();
  const { challengeId, publicKey } = await call('POST', '/api/sign-in/passkey/challenge');
  return answer(challengeId, await webauthn.startAuthentication({ optionsJSON: publicKey }));
}

const RENEW_BEFORE_EXPIRY_MS = 30_000;

/**
 * Lets the e-mail field offer passkeys until the user chooses one. It gets a new challenge whenever the last one is
 * about to expire.
 *
 * @returns the user who signed in; undefined if the browser does not support autofill or another ceremony took over
 */
export async function signInByAutofill() {
  if (!(await webauthn.browserSupportsWebAuthnAutofill())) return undefined;
  for (;;) {
    const { challengeId, publicKey, expiresAt } = await call('POST', '/api/sign-in/passkey/challenge');
    let expired = false;
    const timer = window.setTimeout(
      () => {
        expired = true;
        webauthn.WebAuthnAbortService.cancelCeremony();
      },
      Math.max(Date.parse(expiresAt) - Date.now() - RENEW_BEFORE_EXPIRY_MS, 1_000),
    );
    try {
      return await answer(
        challengeId,
        await webauthn.startAuthentication({ optionsJSON: publicKey, useBrowserAutofill: true }),
      );
    } catch (error) {
      if (error.code !== 'ERROR_CEREMONY_ABORTED') throw error;
      if (!expired) return undefined;
    } finally {
      window.clearTimeout(timer);
    }
  }
}

export function cancelAutofill() {
  webauthn.WebAuthnAbortService.cancelCeremony();
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
  const { allAcceptedCredentials } = await call('GET', '/api/signals');
  const { rpId, userId, allAcceptedCredentialIds } = allAcceptedCredentials;
  await webauthn
    .sendSignal({
      signalName: 'allAcceptedCredentials',
      rpID: rpId,
      userID: userId,
      allAcceptedCredentialIDs: allAcceptedCredentialIds,
    })
    .catch((error) => console.warn(error));
}

async function signalUnknown({ rpId, credentialId }) {
  if (!globalThis.PublicKeyCredential?.signalUnknownCredential) return;
  await webauthn
    .sendSignal({ signalName: 'unknownCredential', rpID: rpId, credentialID: credentialId })
    .catch((error) => console.warn(error));
}

function requireSupport() {
  if (!webauthn.browserSupportsWebAuthn()) throw Object.assign(new Error('no WebAuthn'), { code: 'browser-unable' });
}

const BROWSERS = ['Edge', 'Opera', 'Firefox', 'Chrome', 'Chromium', 'Safari'];

/** Returns the name of a new passkey until the user renames it. */
function suggestName() {
  const { userAgentData, userAgent, platform } = window.navigator;
  const known = `${userAgentData?.brands.map(({ brand }) => brand).join(' ')} ${userAgent}`.replace('Edg/', 'Edge/');
  const browser = BROWSERS.find((name) => known.includes(name)) ?? 'Browser';
  return `${browser} on ${userAgentData?.platform || platform || 'this device'}`.slice(0, 64);
}
