import { getEventType } from './event-types.js';
import type { CredentialFacts, SignalEntity } from './signal.entity.js';
import type { StreamEntity } from './stream.entity.js';

/** The claims of a security event token (RFC 8417 §2.2, profiled by SSF 1.0 §4.1): one event, no `sub`, no `exp`. */
export interface SetClaims {
  readonly iss: string;
  readonly jti: string;
  /** Seconds. Every delivery of a signal has the same claims, so it is the time of the change. */
  readonly iat: number;
  readonly aud: string;
  readonly txn: string;
  readonly sub_id: SubjectIdentifier;
  readonly events: Readonly<Record<string, object>>;
}

/** RFC 9493 §3.2.3 for a user, §3.2.4 for a stream. */
export type SubjectIdentifier =
  | { readonly format: 'iss_sub'; readonly iss: string; readonly sub: string }
  | { readonly format: 'opaque'; readonly id: string };

/** Signs SETs: `typ` is `secevent+jwt` (RFC 8417 §2.3), and the algorithm is that of the stream. */
export interface SetSigner {
  sign(claims: SetClaims, stream: Pick<StreamEntity, 'algorithm'>): Promise<string>;
}

/**
 * Builds the claims of a signal.
 *
 * @param issuer the `iss` of the transmitter
 */
export function buildSetClaims(
  signal: SignalEntity,
  { id, aud }: Pick<StreamEntity, 'id' | 'aud'>,
  issuer: string,
): SetClaims {
  const { rpId, userId, kind } = signal;
  return {
    iss: issuer,
    jti: signal.id,
    iat: toSeconds(signal.happenedAt),
    aud,
    txn: signal.txn,
    sub_id: rpId === null || userId === null ? { format: 'opaque', id } : identifyUser(rpId, userId),
    events: { [getEventType(kind)]: describeEvent(signal) },
  };
}

/**
 * Identifies a user to receivers. A user id is unique only within its relying party, so the relying party is the issuer of the
 * identifier.
 */
export function identifyUser(rpId: string, userId: string): SubjectIdentifier {
  return { format: 'iss_sub', iss: `https://${rpId}`, sub: userId };
}

function describeEvent({ kind, facts, happenedAt }: SignalEntity): object {
  if (kind === 'verification' || kind === 'stream-updated') return facts;
  const { name, attachment, aaguid, initiator, reason } = facts as CredentialFacts;
  const common = {
    event_timestamp: toSeconds(happenedAt),
    initiating_entity: initiator,
    reason_admin: { en: reason },
    credential_type: toCredentialType(attachment),
    friendly_name: name,
    fido2_aaguid: aaguid,
  };
  return kind === 'compromise' ? common : { ...common, change_type: kind };
}

/**
 * CAEP 1.0 §3.3. A passkey whose attachment the browser did not tell counts as roaming: that is the weaker claim, because it ties
 * the passkey to no device.
 */
function toCredentialType(attachment: string | null): string {
  return attachment === 'platform' ? 'fido2-platform' : 'fido2-roaming';
}

function toSeconds(time: Date): number {
  return Math.floor(time.getTime() / 1_000);
}
