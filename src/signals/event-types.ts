import type { SignalKind } from './signal.entity.js';

/** CAEP 1.0 §3.3. */
export const CREDENTIAL_CHANGE = 'https://schemas.openid.net/secevent/caep/event-type/credential-change';
/** RISC 1.0 §2.7. */
export const CREDENTIAL_COMPROMISE = 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise';
/** SSF 1.0 §8.1.4.1. */
export const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification';
/** SSF 1.0 §8.1.5. */
export const STREAM_UPDATED = 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated';

/** The types that a receiver can ask for. It gets events about the stream itself without asking. */
export const EVENTS_SUPPORTED: readonly string[] = [CREDENTIAL_CHANGE, CREDENTIAL_COMPROMISE];

const TYPES: Readonly<Record<SignalKind, string>> = {
  create: CREDENTIAL_CHANGE,
  update: CREDENTIAL_CHANGE,
  revoke: CREDENTIAL_CHANGE,
  delete: CREDENTIAL_CHANGE,
  compromise: CREDENTIAL_COMPROMISE,
  verification: VERIFICATION,
  'stream-updated': STREAM_UPDATED,
};

export function getEventType(kind: SignalKind): string {
  return TYPES[kind];
}
