/**
 * Replays a payment that auth-service kept: holds each part of it against the event in the audit log, and then verifies it as the
 * service did.
 *
 * - `replay-file.ts` reads what auth-service kept.
 * - `logged-payment.ts` reads the event.
 * - `stored-payment.ts` reads the event and the passkey from the database, where the file does not have them.
 */
import { hash } from 'node:crypto';
import { digestCanonical } from '../../src/tlog/canonical-json.js';
import type { AuthenticationResponseJSON } from '../../src/webauthn/assertion.js';
import { digestPayment, normalizePayment } from '../../src/webauthn/payment-data.js';
import { Refusal } from '../../src/webauthn/refusal.js';
import { type VerifiedPayment, verifyPayment } from '../../src/webauthn/verify-payment.js';
import type { LoggedPayment } from './logged-payment.js';
import type { ReplayFile } from './replay-file.js';

/** `open`: not shown here, and not contradicted. */
export type Outcome = 'holds' | 'fails' | 'open';

export interface Step {
  readonly step: string;
  readonly outcome: Outcome;
  /** What was held against what, with JSON pointers into the file. */
  readonly text: string;
}

/** The passkey by which the answer is verified. */
export interface ReplayedPasskey {
  /** COSE_Key; undefined: it is not known. */
  readonly publicKey: Buffer | undefined;
  /** The caller's id of its user; undefined: not known. */
  readonly userId: string | undefined;
  readonly outcome: Outcome;
  /** Says where the key is from, or why it is not known. */
  readonly text: string;
}

export interface Replay {
  readonly steps: readonly Step[];
  /** undefined: the answer does not verify, or its key is not known. */
  readonly verified: VerifiedPayment | undefined;
}

export function replayPayment(file: ReplayFile, logged: LoggedPayment, passkey: ReplayedPasskey): Replay {
  const { request, response } = file;
  const part = (name: 'clientDataJSON' | 'authenticatorData' | 'signature'): string =>
    hash('sha256', Buffer.from(response.response[name], 'base64url'), 'base64url');
  const digest = digestCanonical(request.payment).toString('base64url');
  const [of, inResponse] = ['SHA-256 of', 'SHA-256 of /response/response'];
  const steps = [
    judgeEvent(file, logged),
    compare('relying party', '/request/rpId', request.rpId, 'rp_id', logged.rpId),
    judgeUser(file, logged, passkey),
    compare('payment', `${of} /request/payment (RFC 8785)`, digest, 'transaction_digest', logged.transactionDigest),
    compare(
      'client data',
      ...([`${inResponse}/clientDataJSON`, part('clientDataJSON')] as const),
      ...(['client_data_hash', logged.clientDataHash] as const),
    ),
    compare(
      'authenticator data',
      ...([`${inResponse}/authenticatorData`, part('authenticatorData')] as const),
      ...(['authenticator_data_hash', logged.authenticatorDataHash] as const),
    ),
    compare(
      'signature',
      ...([`${inResponse}/signature`, part('signature')] as const),
      ...(['signature_hash', logged.signatureHash] as const),
    ),
    compare('passkey', '/response/id', response.id, 'credential_id', logged.credential.credentialId),
    { step: 'public key', outcome: passkey.outcome, text: passkey.text },
  ];
  const { publicKey } = passkey;
  if (!publicKey) {
    const text = 'without the public key nobody can verify the signature';
    return { steps: [...steps, { step: 'answer', outcome: 'open', text }], verified: undefined };
  }
  try {
    const verified = verifyStored(file, publicKey);
    return { steps: [...steps, describeVerified(verified), judgeBrowserKey(verified, logged)], verified };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const text = `${error.clause ?? 'the payment'} does not hold: ${error.message}`;
    return { steps: [...steps, { step: 'answer', outcome: 'fails', text }], verified: undefined };
  }
}

/** @throws Refusal */
function verifyStored({ request, challenge, response }: ReplayFile, publicKey: Buffer): VerifiedPayment {
  const { rpId, payment } = request;
  const { callerOrigins, topOrigins } = payment;
  return verifyPayment(response as AuthenticationResponseJSON, {
    ...digestPayment(normalizePayment(payment)),
    ...{ rpId, challenge: Buffer.from(challenge, 'base64url'), callerOrigins, topOrigins },
    // Step 19 compares with the record at that time, and the passkey may have become backup eligible since.
    ...{ allowBackupGrowth: true },
    credential: { credentialId: Buffer.from(response.id, 'base64url'), publicKey, backupEligible: false },
  });
}

function judgeEvent({ auditId }: ReplayFile, { id, type, status, time }: LoggedPayment): Step {
  const step = 'event';
  if (id !== auditId.toLowerCase())
    return { step, outcome: 'fails', text: `/auditId is ${auditId}, and the event is ${quote(id)}` };
  if (type !== 'payment.verify' || status !== 'Success')
    return { step, outcome: 'fails', text: `${id} is ${quote(type)} with ${quote(status)}: no payment was verified` };
  return { step, outcome: 'holds', text: `${id} says that a payment was verified at ${quote(time)}` };
}

function judgeUser({ request }: ReplayFile, logged: LoggedPayment, passkey: ReplayedPasskey): Step {
  const step = 'user';
  const asked = `/request/userId is ${quote(request.userId)}`;
  const isOwner = passkey.userId !== undefined;
  const [who, known] = isOwner
    ? ['the owner of the passkey', passkey.userId]
    : ['the user id that the service added to the event', logged.userId];
  if (known !== undefined && known !== request.userId)
    return { step, outcome: 'fails', text: `${asked}, and ${who} is ${quote(known)}` };
  if (isOwner) return { step, outcome: 'holds', text: `${asked}, ${who}` };
  const also = known === undefined ? '' : `, as is ${who}`;
  return { step, outcome: 'open', text: `${asked}${also}; the log has a pseudonym only` };
}

function describeVerified({ payment, callerOrigin }: VerifiedPayment): Step {
  const text = `Secure Payment Confirmation §9.1 and WebAuthn L3 §7.2 steps 6 to 21 hold: the passkey signed ${formatPayment(payment)} on ${callerOrigin}, with user verification`;
  return { step: 'answer', outcome: 'holds', text };
}

function judgeBrowserKey({ browserBoundKey }: VerifiedPayment, { browserKey }: LoggedPayment): Step {
  const step = 'browser-bound key';
  const thumbprint = browserBoundKey?.thumbprint.toString('base64url');
  if (thumbprint !== browserKey) {
    const text = `the answer has ${quote(thumbprint)}, and browser_key of the event is ${quote(browserKey)}`;
    return { step, outcome: 'fails', text };
  }
  if (thumbprint === undefined) return { step, outcome: 'holds', text: 'neither the answer nor the event has one' };
  const text = `it signed the client data, too, and is browser_key of the event: ${thumbprint}`;
  return { step, outcome: 'holds', text };
}

/** @param what says what has the value, and `member` which member of the event must be the same */
function compare(step: string, what: string, value: string, member: string, logged: string | undefined): Step {
  return value === logged
    ? { step, outcome: 'holds', text: `${what} is ${member} of the event: ${value}` }
    : { step, outcome: 'fails', text: `${what} is ${value}, and ${member} of the event is ${quote(logged)}` };
}

/** Quotes what was not validated. */
function quote(text: string | undefined): string {
  return text === undefined ? 'absent' : JSON.stringify(text);
}

/** Names an amount and its payee in words. */
export function formatPayment({ total, payeeName, payeeOrigin }: VerifiedPayment['payment']): string {
  const payee = [payeeName, payeeOrigin].filter((each) => each !== undefined).join(', ');
  return `${total.currency} ${total.value}${payee === '' ? '' : ` to ${payee}`}`;
}
