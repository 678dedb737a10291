/** True if this browser confirms payments by itself (Secure Payment Confirmation), with a passkey of this device. */
export async function browserConfirmsPayments() {
  const ask = window.PaymentRequest?.securePaymentConfirmationAvailability;
  return ask !== undefined && (await ask.call(window.PaymentRequest).catch(() => undefined)) === 'available';
}

export function formatAmount({ value, currency }) {
  return new Intl.NumberFormat('en', { style: 'currency', currency }).format(value);
}
