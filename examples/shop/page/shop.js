import { toPaymentAnswer, toPaymentRequest } from '/client/payment.js';
import { call } from '/shared/api.js';
import { $, busy } from '/shared/dom.js';
import { clearMessage } from '/shared/messages.js';
import { browserConfirmsPayments, formatAmount } from '/shared/payments.js';
import { setUpReceipt } from './receipt.js';
import { showFault } from './words.js';

const inBrowser = await browserConfirmsPayments();
const showReceipt = setUpReceipt();

$('way').textContent = inBrowser
  ? 'Your browser shows the payment and asks for your passkey. You stay in the shop.'
  : 'You go to the page of Example account. It shows the payment and asks for your passkey.';
$('pay-on-page').hidden = !inBrowser;
$('order').addEventListener('submit', (event) => {
  event.preventDefault();
  const email = $('email').value;
  void busy(event.submitter ?? $('pay'), async () => {
    clearMessage();
    try {
      await (inBrowser && event.submitter !== $('pay-on-page') ? payInBrowser(email) : payOnPage(email));
    } catch (error) {
      showFault(error);
    }
  });
});

await open().catch(showFault);

/** Shows what is for sale, or the order in the address if it is paid. */
async function open() {
  const item = await call('GET', '/api/item');
  $('item').textContent = item.name;
  $('price').textContent = formatAmount(item);
  const id = new URL(window.location.href).searchParams.get('order');
  const order = id === null ? undefined : await call('GET', `/api/orders/${encodeURIComponent(id)}`).catch(showFault);
  if (order?.state === 'confirmed') return showReceipt(order);
  $('email').value = order?.email ?? '';
  $('offer').hidden = false;
  if (order) showFault({ code: order.state === 'cancelled' ? 'cancelled' : 'not-confirmed' });
}

async function payInBrowser(email) {
  const { id, challenge } = await call('POST', '/api/orders', { email, way: 'browser' });
  const answer = await new window.PaymentRequest(...toPaymentRequest(challenge)).show();
  const response = toPaymentAnswer(answer);
  const order = await call('POST', `/api/orders/${id}`, { response }).catch(async (error) => {
    await answer.complete('fail');
    throw error;
  });
  await answer.complete('success');
  window.history.replaceState(null, '', `/?order=${id}`);
  showReceipt(order);
}

async function payOnPage(email) {
  const { url } = await call('POST', '/api/orders', { email, way: 'page' });
  window.location.assign(url);
}
