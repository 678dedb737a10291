import { call } from '/shared/api.js';
import { $, busy } from '/shared/dom.js';
import { clearMessage } from '/shared/messages.js';
import { formatAmount } from '/shared/payments.js';
import { describeAssurance, describeFault } from './words.js';

const time = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'medium' });
const clock = new Intl.DateTimeFormat('en', { timeStyle: 'medium' });
const toDate = (seconds) => new Date(seconds * 1000);

const WAYS = {
  browser: 'in a window of the browser, which showed this shop and the amount',
  page: 'on the page of Example account, which showed this shop, the goods and the amount',
};

/** @returns a function that shows the receipt of an order */
export function setUpReceipt() {
  let order;
  $('verify').addEventListener('click', ({ currentTarget }) =>
    busy(currentTarget, async () => {
      $('verdict').textContent = '';
      const [text, isGood] = await verify(order.id, $('receipt-text').value);
      $('verdict').className = `verdict ${isGood ? 'good' : 'bad'}`;
      $('verdict').textContent = text;
    }),
  );
  return (paid) => {
    order = paid;
    const { email, item, way, receipt, claims } = paid;
    clearMessage();
    $('who').textContent = `${email}, known to Example account as ${claims.sub}`;
    $('what').textContent = `${formatAmount(item)} to Corner Shop for ${item.name}, confirmed ${WAYS[way]}`;
    $('when').textContent =
      `${time.format(toDate(claims.auth_time))}. The receipt is good until ${clock.format(toDate(claims.exp))}.`;
    $('how-sure').textContent = describeAssurance(claims);
    $('receipt-text').value = receipt;
    $('offer').hidden = true;
    $('receipt').hidden = false;
    $('receipt-title').focus();
  };
}

/** The shop's server verifies it, and asks nobody. */
async function verify(id, receipt) {
  try {
    const { claims } = await call('POST', `/api/orders/${id}/verify`, { receipt });
    const { authenticator, exp } = claims;
    const model = authenticator ? ` The device is a ${authenticator.name ?? authenticator.aaguid}.` : '';
    return [
      `It is genuine, for this shop and this payment, and good until ${clock.format(toDate(exp))}.${model}`,
      true,
    ];
  } catch (error) {
    const [title, text] = describeFault(error);
    return [`${title}. ${text}`, false];
  }
}
