import { call } from './api.js';
import { cancelCeremony, canUsePasskeys, signInByAutofill, signInWithPasskey } from './ceremonies.js';
import { $, busy } from './dom.js';
import { clearMessage, showError, showWaiting } from './messages.js';

/** @param signedIn a callback that receives the user who signed in */
export function setUpSignIn(signedIn) {
  const offerAutofill = async () => {
    try {
      const who = await signInByAutofill();
      if (who) return signedIn(who);
    } catch (error) {
      if (!$('welcome').hidden) showError(error);
    }
    if (!$('welcome').hidden) $('sign-in-email').addEventListener('focus', offerAutofill, { once: true });
  };
  const attempt = (button, action) =>
    busy(button, async () => {
      clearMessage();
      try {
        signedIn(await action());
      } catch (error) {
        showError(error);
        $('sign-in-email').addEventListener('focus', offerAutofill, { once: true });
      }
    });

  $('sign-in-passkey').disabled = !canUsePasskeys();
  $('sign-in-unable').hidden = canUsePasskeys();
  $('sign-in-passkey').addEventListener('click', ({ currentTarget }) =>
    attempt(currentTarget, () => signInWithPasskey(() => showWaiting(cancelCeremony))),
  );
  $('sign-in-former').addEventListener('click', ({ currentTarget }) =>
    attempt(currentTarget, () => signInWithPasskey(() => showWaiting(cancelCeremony), true)),
  );
  for (const [name, path] of [
    ['sign-in-form', '/api/sign-in/password'],
    ['sign-up-form', '/api/sign-up'],
  ]) {
    $(name).addEventListener('submit', (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new window.FormData(event.currentTarget));
      void attempt(event.currentTarget.querySelector('[type=submit]'), async () => {
        const who = await call('POST', path, values);
        cancelCeremony();
        return who;
      });
    });
  }
  setUpTabs();
  return offerAutofill;
}

/** Sets up the tabs like the ARIA Authoring Practices: an arrow key selects a tab and shows its panel. */
function setUpTabs() {
  const tabs = [$('tab-sign-in'), $('tab-sign-up')];
  for (const tab of tabs) {
    tab.addEventListener('click', () => select(tab));
    tab.addEventListener('keydown', ({ key }) => {
      if (key !== 'ArrowLeft' && key !== 'ArrowRight') return;
      const other = tabs.find((candidate) => candidate !== tab);
      select(other);
      other.focus();
    });
  }
  function select(selected) {
    clearMessage();
    for (const tab of tabs) {
      tab.ariaSelected = String(tab === selected);
      tab.tabIndex = tab === selected ? 0 : -1;
      $(tab.getAttribute('aria-controls')).hidden = tab !== selected;
    }
  }
}
