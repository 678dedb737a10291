import { call } from './api.js';
import { cancelCeremony, canUsePasskeys, createPasskey, signalAccepted } from './ceremonies.js';
import { $, busy, h, icon, when } from './dom.js';
import { clearMessage, showError, showSuccess, showWaiting } from './messages.js';
import { browserConfirmsPayments } from './payments.js';

/** The COSE algorithm identifier of ML-DSA-44. */
const ML_DSA_44 = -48;

/** @param changed a callback after every attempt to change a passkey */
export function setUpPasskeys(changed) {
  const attempt = (button, action) =>
    busy(button, async () => {
      clearMessage();
      try {
        await action();
      } catch (error) {
        showError(error);
      }
      await changed();
      if (document.activeElement === document.body) $('passkeys-title').focus(); // the button may no longer exist
    });

  $('create-passkey').disabled = !canUsePasskeys();
  $('create-unable').hidden = canUsePasskeys();
  void browserConfirmsPayments().then((confirms) => ($('for-payments').hidden = !confirms));
  $('create-passkey').addEventListener('click', ({ currentTarget }) =>
    attempt(currentTarget, async () => {
      const forPayments = !$('for-payments').hidden && $('for-payments-box').checked;
      const { name } = await createPasskey(() => showWaiting(cancelCeremony), forPayments);
      showSuccess(
        'Your passkey is ready',
        `It is called “${name}”. Sign out and try it. You do not have to type anything.`,
      );
    }),
  );

  async function change(passkey, verb) {
    await call('POST', `/api/passkeys/${passkey.id}/${verb}`);
    await signalAccepted();
    showSuccess(...DONE[verb](passkey.name));
  }

  const actions = {
    suspend: (passkey, button) => attempt(button, () => change(passkey, 'suspend')),
    reinstate: (passkey, button) => attempt(button, () => change(passkey, 'reinstate')),
    revoke: async (passkey, button) => {
      if (await confirmed(passkey)) await attempt(button, () => change(passkey, 'revoke'));
    },
    rename: (passkey, button, name) =>
      attempt(button, () => call('POST', `/api/passkeys/${passkey.id}/name`, { name })),
  };
  return (passkeys) => showPasskeys(passkeys, actions);
}

const DONE = {
  suspend: (name) => [`“${name}” is suspended`, 'It cannot sign you in until you reinstate it.'],
  reinstate: (name) => [`“${name}” is active again`, 'It can sign you in as before.'],
  revoke: (name) => [`“${name}” is revoked`, 'It will never sign you in again. We asked your browser to remove it.'],
};

function showPasskeys(passkeys, actions) {
  const revoked = passkeys.filter(({ status }) => status === 'revoked');
  const usable = passkeys.filter(({ status }) => status !== 'revoked');
  $('passkeys').replaceChildren(...usable.map((passkey) => row(passkey, actions)));
  $('no-passkeys').hidden = usable.length > 0;
  $('revoked').hidden = revoked.length === 0;
  $('revoked-title').textContent = `Revoked (${revoked.length})`;
  $('revoked-passkeys').replaceChildren(...revoked.map((passkey) => row(passkey)));
}

function row(passkey, actions) {
  const { name, status, algorithm, backedUp, createdAt, lastUsedAt, statusChangedAt, authenticator } = passkey;
  const facts = [
    authenticator && h('span', {}, authenticator.name),
    h('span', {}, 'Created ', when(createdAt)),
    status === 'active' && h('span', {}, ...(lastUsedAt ? ['Last used ', when(lastUsedAt)] : ['Not used yet'])),
    status !== 'active' && h('span', {}, status === 'revoked' ? 'Revoked ' : 'Suspended ', when(statusChangedAt)),
  ];
  const title = h('h3', {}, name);
  const badges = [
    status === 'active' && h('span', { className: 'badge' }, backedUp ? 'Synced' : 'Single device'),
    status === 'suspended' && h('span', { className: 'badge warning' }, 'Suspended'),
    algorithm === ML_DSA_44 && h('span', { className: 'badge', title: 'Signs with ML-DSA-44' }, 'Post-quantum'),
  ];
  const about = h('div', { className: 'about' }, h('div', { className: 'title' }, title, ...badges.filter(Boolean)));
  about.append(h('p', { className: 'facts' }, ...facts.filter(Boolean)));
  const item = h('li', { className: status }, picture(passkey), about);
  if (actions) about.append(renderActions(passkey, actions, title));
  return item;
}

function renderActions(passkey, actions, title) {
  const button = (text, onClick, className = 'quiet') => {
    const element = h('button', { type: 'button', className, ariaLabel: `${text} ${passkey.name}` }, text);
    element.addEventListener('click', () => onClick(element));
    return element;
  };
  const suspended = passkey.status === 'suspended';
  return h(
    'div',
    { className: 'row-actions' },
    button('Rename', () => editName(passkey, title, actions.rename)),
    suspended
      ? button('Reinstate', (element) => actions.reinstate(passkey, element))
      : button('Suspend', (element) => actions.suspend(passkey, element)),
    button('Revoke', (element) => actions.revoke(passkey, element), 'quiet danger'),
  );
}

function editName(passkey, title, rename) {
  const input = h('input', {
    value: passkey.name,
    required: true,
    maxLength: 64,
    ariaLabel: `New name of ${passkey.name}`,
  });
  const save = h('button', { type: 'submit' }, 'Save');
  const cancel = h('button', { type: 'button', className: 'quiet' }, 'Cancel');
  const form = h('form', { className: 'rename' }, input, save, cancel);
  const item = title.closest('li');
  const end = () => {
    form.replaceWith(title);
    item.classList.remove('editing');
    item.querySelector('.row-actions button').focus();
  };
  input.addEventListener('input', () => input.setCustomValidity(''));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (name !== '') return void rename(passkey, save, name);
    input.setCustomValidity('A name needs at least one character that is not a space.');
    input.reportValidity();
  });
  form.addEventListener('keydown', ({ key }) => key === 'Escape' && end());
  cancel.addEventListener('click', end);
  title.replaceWith(form);
  item.classList.add('editing');
  input.focus();
  input.select();
}

function picture({ authenticator, attachment, transports }) {
  if (authenticator?.icon?.startsWith('data:image/')) {
    return h('span', { className: 'picture' }, h('img', { src: authenticator.icon, alt: '' }));
  }
  const removable = ['usb', 'nfc', 'ble', 'smart-card'].some((transport) => transports.includes(transport));
  const symbol =
    attachment === 'platform' ? 'laptop' : removable ? 'usb' : transports.includes('hybrid') ? 'phone' : 'key';
  return h('span', { className: 'picture' }, icon(symbol));
}

function confirmed({ name }) {
  const dialog = $('revoke-dialog');
  $('revoke-title').textContent = `Revoke “${name}”?`;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'revoke'), { once: true });
  });
}
