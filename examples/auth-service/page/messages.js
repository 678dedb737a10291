import { $, h, icon } from './dom.js';

/** Describes the reasons of Passkey Manager's contract, each as the end of a sentence. */
const REASONS = {
  'credential-revoked': 'the passkey has been revoked',
  'credential-suspended': 'the passkey is suspended',
  'credential-unknown': 'this site does not know the passkey',
  'user-verification-missing': 'the device did not verify that it is you',
  'user-presence-missing': 'the request was not confirmed on the device',
  'signature-invalid': 'the signature does not match the passkey',
  'sign-count-regressed': 'the passkey may have been copied',
  'origin-mismatch': 'the answer was made for another site',
  'attestation-untrusted': 'this kind of passkey is not trusted here',
  'authenticator-denied': 'this kind of passkey is not allowed here',
  'authenticator-compromised': 'this kind of passkey is no longer safe',
  'algorithm-denied': 'its signature algorithm is not allowed here',
  'challenge-spent': 'the answer came too late or twice',
  'identity-proof-too-old': 'the sign-in was too long ago',
  'identity-proof-missing': 'the site did not report how it verified you',
  'too-many-credentials': 'you already have the maximum number of passkeys',
};

export const describeReason = (reason) => REASONS[reason] ?? (reason ?? 'no reason given').replaceAll('-', ' ');

/** Titles and advice, by `code/reason` or else by `code`. */
const TEXTS = {
  'authentication-rejected/credential-revoked': [
    'That passkey has been revoked',
    'It is switched off permanently and cannot sign you in. Use another passkey or your password.',
  ],
  'authentication-rejected/credential-suspended': [
    'That passkey is suspended',
    'Sign in with another passkey or your password, and reinstate it on your account page.',
  ],
  'authentication-rejected/credential-unknown': [
    'This site does not know that passkey',
    'Its account may have been deleted. We asked your browser to stop offering it. Sign in another way.',
  ],
  'authentication-rejected/sign-count-regressed': [
    'This passkey may have been copied',
    'We refused it to be safe. Sign in with your password, revoke the passkey and create a new one.',
  ],
  'policy-rejected/identity-proof-too-old': [
    'Please sign in again first',
    'You signed in more than 15 minutes ago. Sign in again to add a passkey.',
  ],
  'policy-rejected/too-many-credentials': [
    'You have the maximum number of passkeys',
    'Revoke one that you no longer use, then create the new one.',
  ],
  'challenge-spent': ['That took too long', 'Your passkey must answer within five minutes, and only once. Try again.'],
  'credential-exists': ['This passkey is already registered', 'It is in your list. You do not have to do anything.'],
  'credential-state': ['The passkey has changed in the meantime', 'We have updated the list. Check it and try again.'],
  'credential-unknown': ['That passkey is no longer yours', 'We have updated the list.'],
  'account-gone': [
    'The account no longer exists',
    'The passkey is valid, but this demo has lost its account. Create it again.',
  ],
  'email-taken': ['This e-mail already has an account', 'Sign in to it, or create one with another address.'],
  'email-malformed': ['That is not an e-mail address', 'It should look like ada@example.com.'],
  'password-wrong': ['The sign-in failed', 'The e-mail or the password is wrong. Check both and try again.'],
  'too-many-attempts': [
    'Too many wrong passwords',
    'For some minutes, we accept no password for this e-mail. Sign in with your passkey, or try again later.',
  ],
  'passkey-of-another': [
    'That passkey belongs to another account',
    'We revoked it and added nothing to your account. Sign out, sign in again and create a new one.',
  ],
  'payment-unknown': ['There is no such payment', 'It may be too old. Go back to the shop and pay again.'],
  'payment-closed': ['This payment is over', 'It was confirmed or cancelled already. Go back to the shop.'],
  'signed-out': ['You are signed out', 'The session has ended. Sign in again.'],
  'rate-limited': ['Too many requests at once', 'Wait a few seconds and try again.'],
  'passkeys-unavailable': [
    'Passkeys are temporarily unavailable',
    'Nothing was changed. Try again shortly, or use your password.',
  ],
  'passkeys-unreachable': [
    'Passkey Manager cannot be reached',
    'Nothing was changed. Check that it is running. Your password still works.',
  ],
  'passkeys-refused': [
    'Passkey Manager does not accept this site',
    "The site's certificate or its permissions are wrong. Its log has the details.",
  ],
  'auth-service-unreachable': [
    'This site cannot be reached',
    'Check that the demo is still running, then reload the page.',
  ],
  'device-cancelled': [
    'The passkey was not used',
    'You cancelled, or did not confirm in time. Try again when you are ready.',
  ],
  'device-has-passkey': [
    'This device already has a passkey for you',
    'It is in your list. Use another device or a security key for a second one.',
  ],
  'device-unable': [
    'This device cannot keep a passkey',
    'It has no screen lock. Set up a PIN, a face or a fingerprint, or use a phone or a security key.',
  ],
};

/** Titles and advice for the reasons without their own text. */
const REJECTED = {
  'authentication-rejected': ['The passkey was refused', 'Try another way.'],
  'registration-rejected': ['The passkey was refused', 'Nothing was added.'],
  'policy-rejected': ['That is not allowed here', 'Nothing was changed.'],
};

/** Codes for the errors of @simplewebauthn/browser and of the DOM, by name. */
const DEVICE = {
  ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED: 'device-has-passkey',
  ERROR_AUTHENTICATOR_MISSING_USER_VERIFICATION_SUPPORT: 'device-unable',
  ERROR_AUTHENTICATOR_MISSING_DISCOVERABLE_CREDENTIAL_SUPPORT: 'device-unable',
  ERROR_CEREMONY_ABORTED: 'device-cancelled',
  NotAllowedError: 'device-cancelled',
};

function textOf(error) {
  const code = DEVICE[error.code] ?? DEVICE[error.name] ?? error.code;
  const text = TEXTS[`${code}/${error.reason}`] ?? TEXTS[code];
  if (text) return text;
  if (!(code in REJECTED)) {
    return ['That did not work', 'An unexpected error occurred. Try again. The details are in the log of the site.'];
  }
  const [title, advice] = REJECTED[code];
  return [title, `Because ${describeReason(error.reason)}. ${advice}`];
}

export function clearMessage() {
  $('message').replaceChildren();
}

/** Says that the device is asked, with a button that ends the wait. The next message, or none, takes its place. */
export function showWaiting(cancel) {
  const button = h('button', { type: 'button', className: 'quiet' }, 'Cancel');
  button.addEventListener('click', () => cancel());
  const words = h(
    'div',
    {},
    h('p', {}, h('strong', {}, 'Waiting for your device')),
    h('p', {}, 'Confirm with your face, your finger, its PIN or a touch.'),
  );
  $('message').replaceChildren(h('div', { className: 'banner waiting' }, icon('key'), words, button));
}

export function showSuccess(title, text) {
  showBanner('success', 'check', title, text);
}

export function showError(error) {
  if (!error.code && error.name !== 'NotAllowedError') console.error(error);
  showBanner('error', 'cross', ...textOf(error), error.requestId);
}

export function showBanner(kind, symbol, title, text, requestId) {
  const close = h('button', { type: 'button', className: 'close', ariaLabel: 'Dismiss' }, icon('cross'));
  close.addEventListener('click', clearMessage);
  const reference = requestId && h('p', { className: 'reference' }, `For the log: ${requestId}`);
  const words = h('div', {}, h('p', {}, h('strong', {}, title)), h('p', {}, text), reference || undefined);
  const banner = h(
    'div',
    { className: `banner ${kind}`, role: kind === 'error' ? 'alert' : undefined },
    icon(symbol),
    words,
    close,
  );
  $('message').replaceChildren(banner);
  banner.scrollIntoView({ block: 'nearest' });
}
