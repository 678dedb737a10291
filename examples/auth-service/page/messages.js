import { $, h, icon } from './dom.js';

/** Why Passkey Manager refused a passkey, as the end of a sentence; the slugs are its contract's. */
const REASONS = {
  'credential-revoked': 'the passkey has been revoked',
  'credential-suspended': 'the passkey is suspended',
  'credential-unknown': 'the passkey is not known here',
  'user-verification-missing': 'the device did not check that it is you',
  'user-presence-missing': 'nobody confirmed it on the device',
  'signature-invalid': 'the signature does not fit the passkey',
  'sign-count-regressed': 'the passkey may have been copied',
  'origin-mismatch': 'it was made for another site',
  'attestation-untrusted': 'this kind of passkey is not trusted here',
  'authenticator-denied': 'this kind of passkey is not allowed here',
  'authenticator-compromised': 'this kind of passkey is no longer safe',
  'algorithm-denied': 'its kind of signature is not allowed here',
  'challenge-spent': 'it was answered too late, or twice',
  'identity-proof-too-old': 'the sign-in was too long ago',
  'identity-proof-missing': 'the site did not say how it knows you',
  'too-many-credentials': 'there are as many passkeys as allowed',
};

export const reasonInWords = (reason) => REASONS[reason] ?? (reason ?? 'no reason given').replaceAll('-', ' ');

/** What happened, and what to do about it. Looked up by `code/reason`, then by `code`. */
const TEXTS = {
  'authentication-rejected/credential-revoked': [
    'That passkey has been revoked',
    'It was switched off for good and cannot sign in any more. Use another passkey, or your password.',
  ],
  'authentication-rejected/credential-suspended': [
    'That passkey is suspended',
    'Sign in with another passkey or your password, and reinstate it on your account page.',
  ],
  'authentication-rejected/credential-unknown': [
    'That passkey is not known here',
    'Its account may be gone. Your browser has been told, so that it stops offering it. Sign in another way.',
  ],
  'authentication-rejected/sign-count-regressed': [
    'This passkey may have been copied',
    'To be safe it was refused. Sign in with your password, revoke the passkey and create a new one.',
  ],
  'policy-rejected/identity-proof-too-old': [
    'Please sign in again first',
    'You signed in more than 15 minutes ago. A new passkey is only added for someone who has just shown who they are.',
  ],
  'policy-rejected/too-many-credentials': [
    'You have as many passkeys as allowed',
    'Revoke one that you no longer use, then create the new one.',
  ],
  'challenge-spent': [
    'That took too long',
    'A request to the passkey can be answered once, within five minutes. Try again.',
  ],
  'credential-exists': ['This passkey is registered already', 'It is in your list; there is nothing to do.'],
  'credential-state': [
    'The passkey has changed meanwhile',
    'The list has been brought up to date. Look at it and try again.',
  ],
  'credential-unknown': ['That passkey is not yours any more', 'The list has been brought up to date.'],
  'account-gone': ['The passkey is fine, the account is gone', 'This demo no longer has its account. Create it again.'],
  'email-taken': ['There is an account with this e-mail', 'Sign in to it, or create one with another address.'],
  'email-malformed': ['That is no e-mail address', 'It should look like ada@example.com.'],
  'password-wrong': ['That did not match', 'The e-mail or the password is wrong. Check both and try again.'],
  'too-many-attempts': [
    'Too many wrong passwords',
    'We accept no password for this e-mail for some minutes. Sign in with your passkey, or try again later.',
  ],
  'passkey-of-another': [
    'That passkey belongs to another account',
    'We revoked it, and added nothing to your account. Sign out, sign in again and create a new one.',
  ],
  'signed-out': ['You are signed out', 'The session has ended. Sign in again.'],
  'rate-limited': ['Too many requests at once', 'Wait a few seconds and try again.'],
  'passkeys-unavailable': [
    'Passkeys are unavailable for a moment',
    'Nothing was changed. Try again shortly, or use your password.',
  ],
  'passkeys-unreachable': [
    'Passkey Manager cannot be reached',
    'Nothing was changed. Is it running? Until then, your password works.',
  ],
  'passkeys-refused': [
    'Passkey Manager does not accept this site',
    "The site's certificate or its permissions are not in order. Whoever runs it finds the details in its log.",
  ],
  'auth-service-unreachable': [
    'This site cannot be reached',
    'Check that the demo is still running, then reload the page.',
  ],
  'device-cancelled': [
    'The passkey was not used',
    'It was cancelled, or nothing was confirmed in time. Try again when you are ready.',
  ],
  'device-has-passkey': [
    'This device has a passkey for you already',
    'It is in your list. Use another device or a security key for a second one.',
  ],
  'device-unable': [
    'This device cannot keep such a passkey',
    'It has no screen lock, PIN, face or finger set up. Set one up, or use a phone or a security key.',
  ],
  'browser-unable': ['This browser has no passkeys', 'Use a current version of Chrome, Edge, Firefox or Safari.'],
};

/** For the reasons that have no text of their own. */
const REJECTED = {
  'authentication-rejected': ['The sign-in was refused', 'Try another way.'],
  'registration-rejected': ['The passkey was refused', 'Nothing was added.'],
  'policy-rejected': ['That is not allowed here', 'Nothing was changed.'],
};

/** What the browser says by the names of @simplewebauthn/browser and of the DOM. */
const DEVICE = {
  ERROR_AUTHENTICATOR_PREVIOUSLY_REGISTERED: 'device-has-passkey',
  ERROR_AUTHENTICATOR_MISSING_USER_VERIFICATION_SUPPORT: 'device-unable',
  ERROR_AUTHENTICATOR_MISSING_DISCOVERABLE_CREDENTIAL_SUPPORT: 'device-unable',
  NotAllowedError: 'device-cancelled',
};

function textOf(error) {
  const code = DEVICE[error.code] ?? DEVICE[error.name] ?? error.code;
  const text = TEXTS[`${code}/${error.reason}`] ?? TEXTS[code];
  if (text) return text;
  if (!(code in REJECTED)) {
    return [
      'That did not work',
      'Something unforeseen happened. Try again; if it stays, whoever runs the site has it in the log.',
    ];
  }
  const [title, advice] = REJECTED[code];
  return [title, `Because ${reasonInWords(error.reason)}. ${advice}`];
}

export function clearMessage() {
  $('message').replaceChildren();
}

export function showSuccess(title, text) {
  show('success', 'check', title, text);
}

export function showError(error) {
  if (!error.code && error.name !== 'NotAllowedError') console.error(error);
  show('error', 'cross', ...textOf(error), error.requestId);
}

function show(kind, symbol, title, text, requestId) {
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
