import { call } from './api.js';
import { cancelAutofill, signInByAutofill, signInWithPasskey } from './ceremonies.js';
import { $, busy } from './dom.js';
import { clearMessage, showError } from './messages.js';

/** @param signedIn a callback that receives the user who signed in */
export function setUpSignIn(signedIn) {
  const offerAutofill = async () => {
    try {
      const who = await signInByAutofill();
      if (who) signedIn(who);
    } catch (error) {
      if ($('welcome').hidden) return; // the user has signed in another way
      showError(error);
      $('sign-in-email').addEventListener('focus', offerAutofill, { once: true });
    }
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

  $('sign-in-passkey').addEventListener('click', ({ currentTarget }) => attempt(currentTarget, signInWithPasskey));
  for (const [name, path] of [
    ['sign-in-form', '/api/sign-in/password'],
    ['sign-up-form', '/api/sign-up'],
  ]) {
    $(name).addEventListener('submit', (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new window.FormData(event.currentTarget));
      void attempt(event.currentTarget.querySelector('[type=submit]'), async () => {
        const who = await call('POST', path, values);
        cancelAutofill();
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
