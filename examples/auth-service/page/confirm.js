import { call } from './api.js';
import { cancelCeremony, confirmPayment } from './ceremonies.js';
import { $, busy } from './dom.js';
import { clearMessage, showError, showWaiting } from './messages.js';
import { formatAmount } from './payments.js';

/*
 * Shows a payment that a shop asked for, and has its user confirm it. This is the way for browsers that do not confirm
 * payments by themselves.
 */

const path = `/api/payments/${encodeURIComponent(new URL(window.location.href).searchParams.get('payment') ?? '')}`;

try {
  const { total, payee, item, email, state, returnUrl } = await call('GET', path);
  if (state !== 'open') window.location.replace(returnUrl);
  $('amount').textContent = formatAmount(total);
  $('payee').textContent = payee;
  $('item').textContent = item;
  $('email').textContent = `Your example account, ${email}`;
  $('payment').hidden = state !== 'open';
} catch (error) {
  showError(error.code === 'not-found' ? { code: 'payment-unknown' } : error);
}

const attempt = (button, action) =>
  busy(button, async () => {
    clearMessage();
    try {
      const { returnUrl } = await action();
      window.location.replace(returnUrl);
    } catch (error) {
      showError(error);
    }
  });

$('confirm').addEventListener('click', ({ currentTarget }) =>
  attempt(currentTarget, () => confirmPayment(path, () => showWaiting(cancelCeremony))),
);
$('cancel').addEventListener('click', ({ currentTarget }) =>
  attempt(currentTarget, () => {
    cancelCeremony();
    return call('POST', `${path}/cancel`);
  }),
);
