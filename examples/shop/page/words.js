import { describeReason, showBanner } from '/shared/messages.js';

/** By `acr` of the receipt, as docs/receipts.md has them. */
const ASSURANCE = {
  presence: 'Somebody touched the device that has the passkey. The device did not check who.',
  synced:
    'The device has the passkey, and checked a PIN, face or finger. Copies of the passkey may be on other devices.',
  'device-bound':
    'The device has the passkey, and checked a PIN, face or finger. It says that the passkey stays in it; nothing proves that.',
  attested: 'The device has the passkey, and checked a PIN, face or finger. Its maker proves which model it is.',
};

export const describeAssurance = ({ acr }) => ASSURANCE[acr.split(':').at(-1)] ?? acr;

/** Members of the payment that a browser has shown, each as the beginning of a sentence. */
const MEMBERS = {
  'payment.total.value': 'the amount',
  'payment.total.currency': 'the currency',
  'payment.payeeName': 'the name of the shop',
  'payment.topOrigin': 'the page',
};

/** Why a receipt proves nothing here, by the reasons of the client. */
const RECEIPTS = {
  malformed: 'It is no receipt: a part of it is missing or unreadable.',
  'algorithm-denied': 'It is signed in a way that this shop does not take.',
  'key-unknown': 'It was altered, or something else than Passkey Manager signed it: nobody knows its key.',
  'signature-invalid': 'It was altered, or something else than Passkey Manager signed it.',
  'type-mismatch': 'It is another kind of document.',
  'issuer-mismatch': 'It comes from another Passkey Manager.',
  'audience-mismatch': 'It is for another service, not for this shop.',
  'not-yet-valid': 'It is from the future, by the clock of this shop.',
  expired: 'It has expired: a receipt is good for a minute. The payment stands.',
  'transaction-mismatch': 'It is genuine, but for another payment.',
  'assurance-too-low': 'Nobody checked who confirmed the payment.',
};

/** Titles and texts. */
const TEXTS = {
  cancelled: ['You did not pay', 'You cancelled, or did not confirm in time. Nothing was charged.'],
  'not-confirmed': ['You have not paid yet', 'You came back before you confirmed. Nothing was charged.'],
  'email-unknown': ['There is no such account', 'Create one on the page of Example account, with a passkey.'],
  'payment-closed': ['This payment is over', 'It was confirmed or cancelled already. Pay again.'],
  'payment-unknown': ['The payment took too long', 'Nothing was charged. Pay again.'],
  'order-unknown': ['There is no such order', 'The shop has started again since, or the address is wrong.'],
  'challenge-spent': ['The payment took too long', 'Nothing was charged. Pay again.'],
  'rate-limited': ['Too many payments at once', 'Wait a minute and try again.'],
  'bank-unreachable': ['Example account cannot be reached', 'Nothing was charged. Check that the demo is running.'],
  'auth-service-unreachable': ['The shop cannot be reached', 'Check that the demo is still running.'],
  'passkeys-refused': [
    'Example account may not confirm payments',
    'Its access policy is from an earlier version. Delete .data/access-policy.yaml and start the demo again.',
  ],
};

/** What PaymentRequest.show() throws where the user has cancelled, or has no passkey that this browser knows for payments. */
const CANCELLED = ['AbortError', 'NotAllowedError', 'OptOutError'];

export function describeFault(error) {
  if (error.code === 'receipt-invalid') return ['The receipt proves nothing', RECEIPTS[error.reason] ?? error.reason];
  if (error.reason === 'payment-mismatch') {
    const member = MEMBERS[error.member] ?? describeReason(error.member);
    return [
      'The payment was refused',
      `You saw something else than was agreed: ${member} differs. Nothing was charged.`,
    ];
  }
  if (error.code === 'authentication-rejected')
    return ['The payment was refused', `Because ${describeReason(error.reason)}. Nothing was charged.`];
  return (
    TEXTS[CANCELLED.includes(error.name) ? 'cancelled' : error.code] ?? [
      'That did not work',
      'An unexpected error occurred, and nothing was charged. The details are in the log of the shop.',
    ]
  );
}

export function showFault(error) {
  if (!error.code && !CANCELLED.includes(error.name)) console.error(error);
  showBanner('error', 'cross', ...describeFault(error), error.requestId);
}
