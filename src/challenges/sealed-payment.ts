import { CREDENTIAL_NAME_BYTES, type PaymentTerms } from './challenge.js';

/** The terms of a payment as JSON in a token. The names are short, because a client carries them. Digests are base64url. */
export interface SealedPayment {
  readonly d: string;
  readonly v: string;
  readonly c: string;
  readonly n?: string | undefined;
  readonly p?: string | undefined;
  readonly i: readonly [displayName: string, icon: string, iconMustBeShown: boolean | null, details: string | null];
  readonly l: readonly (readonly [url: string, label: string])[];
  readonly o: readonly string[];
  readonly t?: readonly string[] | undefined;
  /** The names of the offered credentials, one after the other. */
  readonly k: string;
}

export function toSealedPayment(terms: PaymentTerms): SealedPayment {
  const { displayName, icon, iconMustBeShown = null, details } = terms.instrument;
  return {
    d: toText(terms.digest),
    v: terms.total.value,
    c: terms.total.currency,
    n: terms.payeeName,
    p: terms.payeeOrigin,
    i: [displayName, toText(icon), iconMustBeShown, details ?? null],
    l: terms.paymentEntitiesLogos.map(({ url, label }) => [toText(url), label]),
    o: terms.callerOrigins,
    t: terms.topOrigins,
    k: toText(Buffer.concat(terms.offered)),
  };
}

export function fromSealedPayment(sealed: SealedPayment): PaymentTerms {
  const [displayName, icon, iconMustBeShown, details] = sealed.i;
  const names = toBytes(sealed.k);
  return {
    digest: toBytes(sealed.d),
    total: { value: sealed.v, currency: sealed.c },
    payeeName: sealed.n,
    payeeOrigin: sealed.p,
    instrument: {
      displayName,
      icon: toBytes(icon),
      iconMustBeShown: iconMustBeShown ?? undefined,
      details: details ?? undefined,
    },
    paymentEntitiesLogos: sealed.l.map(([url, label]) => ({ url: toBytes(url), label })),
    callerOrigins: sealed.o,
    topOrigins: sealed.t,
    offered: Array.from({ length: names.length / CREDENTIAL_NAME_BYTES }, (_, at) =>
      names.subarray(at * CREDENTIAL_NAME_BYTES, (at + 1) * CREDENTIAL_NAME_BYTES),
    ),
  };
}

const toText = (bytes: Buffer): string => bytes.toString('base64url');
const toBytes = (text: string): Buffer => Buffer.from(text, 'base64url');
