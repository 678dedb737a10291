import { call } from './api.js';
import { showAudit } from './audit.js';
import { $, busy, when } from './dom.js';
import { clearMessage, showError } from './messages.js';
import { setUpPasskeys } from './passkeys.js';
import { setUpSignIn } from './sign-in.js';

const offerAutofill = setUpSignIn((who) => {
  clearMessage();
  show(who);
});
const showPasskeys = setUpPasskeys(refresh);

$('sign-out').addEventListener('click', ({ currentTarget }) =>
  busy(currentTarget, () => call('POST', '/api/sign-out').then(() => window.location.reload(), showError)),
);

try {
  show(await call('GET', '/api/session'));
} catch (error) {
  show({ user: null });
  showError(error);
}

/** Milliseconds between two looks if the session still stands: somebody may revoke the passkey elsewhere. */
const LOOK_MS = 1_000;

window.setInterval(async () => {
  if ($('account').hidden) return;
  const who = await call('GET', '/api/session').catch(() => undefined);
  if (who?.user !== null || $('account').hidden) return;
  show(who);
  showError({ code: 'signed-out' });
}, LOOK_MS);

function show({ user, signIn, formerRpId }) {
  $('welcome').hidden = user !== null;
  $('account').hidden = user === null;
  $('who').hidden = user === null;
  $('sign-in-former').hidden = !formerRpId;
  $('former-rp-id').textContent = formerRpId ?? '';
  if (user === null) return void offerAutofill();
  for (const form of document.forms) form.reset();
  $('who-email').textContent = user.email;
  $('greeting').textContent = `Hello, ${user.name}`;
  $('signed-in-by').replaceChildren(`You signed in with your ${signIn.method}, `, when(signIn.at), '.');
  $('must-move').hidden = !signIn.moveTo;
  $('move-to').textContent = signIn.moveTo ?? '';
  $('main').focus({ preventScroll: true });
  void refresh();
}

async function refresh() {
  try {
    const [{ passkeys }, { events }] = await Promise.all([call('GET', '/api/passkeys'), call('GET', '/api/audit')]);
    showPasskeys(passkeys);
    if (passkeys.some(({ status }) => status === 'active')) $('must-move').hidden = true;
    showAudit(events);
  } catch (error) {
    if (error.code === 'signed-out') show({ user: null });
    showError(error);
  }
}
