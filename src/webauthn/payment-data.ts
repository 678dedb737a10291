/**
 * The payment that a browser showed to its user, as its client data says it (SPC §5.2), held against the payment that was
 * sent to the browser.
 */
import { hash } from 'node:crypto';
import type { ClientData } from './client-data.js';
import { inClause, type PaymentMember, Refusal } from './refusal.js';

/** An amount. The value is decimal text, such as `12.50`, and is never made a number. */
export interface Amount {
  /** ISO 4217, in capitals. */
  readonly currency: string;
  readonly value: string;
}

/** A payment without its icon and logos, which have two forms: their URLs, or digests of them. */
interface PaymentText {
  readonly payeeName?: string | undefined;
  readonly payeeOrigin?: string | undefined;
  readonly total: Amount;
}

interface Instrument<Image> {
  readonly displayName: string;
  readonly icon: Image;
  /** True if absent (SPC §7.1). */
  readonly iconMustBeShown?: boolean | undefined;
  readonly details?: string | undefined;
}

interface Logo<Image> {
  readonly url: Image;
  readonly label: string;
}

/** A payment that a caller asks for. */
export interface Payment extends PaymentText {
  readonly instrument: Instrument<string>;
  readonly paymentEntitiesLogos?: readonly Logo<string>[] | undefined;
}

/** A payment that an answer must show. An icon or logo is SHA-256 of its URL, which may be a long `data:` URL. */
export interface ExpectedPayment extends PaymentText {
  readonly instrument: Instrument<Buffer>;
  readonly paymentEntitiesLogos: readonly Logo<Buffer>[];
}

/** The payment that the browser showed. An icon or a logo whose URL is empty was not shown (SPC §4.9). */
export interface ShownPayment extends PaymentText {
  readonly rpId: string;
  readonly topOrigin: string;
  readonly instrument: Omit<Instrument<string>, 'iconMustBeShown'>;
  readonly paymentEntitiesLogos: readonly Logo<string>[];
}

/** What is expected around the payment itself. */
export interface PaymentFrame {
  readonly rpId: string;
  /** The pages that may contain the caller's frame. If undefined, the caller must be the top page itself. */
  readonly topOrigins: readonly string[] | undefined;
}

/**
 * Writes a payment as a browser writes it into its client data: URLs as the URL Standard serializes them, the payee's
 * origin as an origin, the currency in capitals, and U+FFFD for half a character. Send a browser this form only, and
 * expect it.
 *
 * @throws TypeError if a URL is none
 */
export function normalizePayment({
  payeeName,
  payeeOrigin,
  total,
  instrument,
  paymentEntitiesLogos,
}: Payment): Payment {
  const { displayName, icon, iconMustBeShown, details } = instrument;
  return {
    ...(payeeName !== undefined && { payeeName: payeeName.toWellFormed() }),
    ...(payeeOrigin !== undefined && { payeeOrigin: new URL(payeeOrigin).origin }),
    total: { currency: total.currency.toUpperCase(), value: total.value },
    instrument: {
      displayName: displayName.toWellFormed(),
      icon: new URL(icon).href,
      ...(iconMustBeShown !== undefined && { iconMustBeShown }),
      ...(details !== undefined && { details: details.toWellFormed() }),
    },
    ...(paymentEntitiesLogos && {
      paymentEntitiesLogos: paymentEntitiesLogos.map(({ url, label }) => ({
        url: new URL(url).href,
        label: label.toWellFormed(),
      })),
    }),
  };
}

/** What an answer must show, for a payment in the form of normalizePayment(). */
export function digestPayment({ paymentEntitiesLogos = [], instrument, ...text }: Payment): ExpectedPayment {
  return {
    ...text,
    instrument: { ...instrument, icon: digestUrl(instrument.icon) },
    paymentEntitiesLogos: paymentEntitiesLogos.map(({ url, label }) => ({ url: digestUrl(url), label })),
  };
}

/** The digest that stands for the URL of an icon or a logo: SHA-256 of its UTF-8 text. */
const digestUrl = (url: string): Buffer => hash('sha256', url, 'buffer');

/**
 * Verifies `payment` of the client data: the items of SPC §9.1 step 2.5, in their order. SPC does not number these
 * items; a clause counts them, so that `SPC §9.1 step 2.5.6` is the total. Members that SPC does not define are ignored.
 *
 * A refusal never quotes a value: what a user pays, and with which card, belongs in no log.
 *
 * @throws Refusal payment-mismatch
 */
export function verifyPaymentData(clientData: ClientData, expected: ExpectedPayment & PaymentFrame): ShownPayment {
  const payment = item(1, () => {
    const members = demandObject(clientData.payment, 'payment');
    const { rpId } = expected;
    demandEqual(members['rpId'], rpId, 'payment.rpId');
    if (members['rp'] !== undefined) demandEqual(members['rp'], rpId, 'payment.rp');
    return members;
  });
  const topOrigin = item(2, () => verifyTopOrigin(payment['topOrigin'], clientData, expected.topOrigins));
  item(3, () => {
    demandEqual(payment['payeeName'], expected.payeeName, 'payment.payeeName');
  });
  item(4, () => {
    demandEqual(payment['payeeOrigin'], expected.payeeOrigin, 'payment.payeeOrigin');
  });
  const logos = item(5, () => verifyLogos(payment['paymentEntitiesLogos'], expected.paymentEntitiesLogos));
  item(6, () => {
    const total = demandObject(payment['total'], 'payment.total');
    demandEqual(total['currency'], expected.total.currency, 'payment.total.currency');
    demandEqual(total['value'], expected.total.value, 'payment.total.value');
  });
  const instrument = item(7, () => verifyInstrument(payment['instrument'], expected.instrument));
  const { rpId, payeeName, payeeOrigin, total } = expected;
  return {
    rpId,
    topOrigin,
    ...(payeeName !== undefined && { payeeName }),
    ...(payeeOrigin !== undefined && { payeeOrigin }),
    total: { currency: total.currency, value: total.value },
    instrument,
    paymentEntitiesLogos: logos,
  };
}

const item = <T>(number: number, run: () => T): T => inClause(`SPC §9.1 step 2.5.${String(number)}`, run);

/** The top page is the caller, unless the caller runs in a frame of another origin; then it is WebAuthn's topOrigin. */
function verifyTopOrigin(
  received: unknown,
  { origin, crossOrigin, topOrigin }: ClientData,
  expected: readonly string[] | undefined,
): string {
  const top = crossOrigin ? topOrigin : origin;
  const allowed = top !== undefined && (expected === undefined || expected.includes(top));
  if (received !== top || !allowed) throw refusal(received, 'payment.topOrigin');
  return top;
}

/** The browser may leave out logos and not show some, but neither add one nor change their order. */
function verifyLogos(received: unknown, sent: readonly Logo<Buffer>[]): Logo<string>[] {
  const member = 'payment.paymentEntitiesLogos';
  if (received === undefined) return [];
  if (!Array.isArray(received)) throw refusal(received, member);
  let next = 0;
  return received.map((value: unknown) => {
    const { url, label } = demandObject(value, member);
    if (typeof url !== 'string' || typeof label !== 'string') throw refusal(value, member);
    const digest = digestUrl(url);
    const found = sent.findIndex(
      (logo, at) => at >= next && logo.label === label && (url === '' || logo.url.equals(digest)),
    );
    if (found < 0) throw refusal(value, member);
    next = found + 1;
    return { url, label };
  });
}

/**
 * Chromium never writes iconMustBeShown, so its absence says nothing; the icon itself says if it was shown. Where the
 * member is present, it must be the one that was sent.
 */
function verifyInstrument(received: unknown, expected: Instrument<Buffer>): ShownPayment['instrument'] {
  const { displayName, iconMustBeShown = true, details } = expected;
  const instrument = demandObject(received, 'payment.instrument');
  demandEqual(instrument['displayName'], displayName, 'payment.instrument.displayName');
  if (instrument['iconMustBeShown'] !== undefined)
    demandEqual(instrument['iconMustBeShown'], iconMustBeShown, 'payment.instrument.iconMustBeShown');
  const { icon } = instrument;
  const withoutIcon = icon === '' && !iconMustBeShown;
  if (typeof icon !== 'string' || !(withoutIcon || digestUrl(icon).equals(expected.icon)))
    throw refusal(icon, 'payment.instrument.icon');
  demandEqual(instrument['details'], details, 'payment.instrument.details');
  return { displayName, icon, ...(details !== undefined && { details }) };
}

function demandObject(value: unknown, member: PaymentMember): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refusal(value, member);
  return value as Record<string, unknown>;
}

function demandEqual(received: unknown, expected: string | boolean | undefined, member: PaymentMember): void {
  if (received !== expected) throw refusal(received, member);
}

const refusal = (received: unknown, member: PaymentMember): Refusal =>
  new Refusal(
    'payment-mismatch',
    received === undefined ? `${member} is absent` : `${member} is not what the browser was given`,
    member,
  );
