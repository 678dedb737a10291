import type { AuditEventType } from '../audit/audit-entry.js';
import type { RequestContext } from '../http/request-context.js';
import type { SignalledChange } from '../signals/outbox.repository.js';
import type { CredentialEntity } from './credential.entity.js';

/** What receivers of Shared Signals hear of a change by a caller: the kind, and its reason without one of the caller's. */
const SIGNALLED: Readonly<Partial<Record<AuditEventType, readonly [kind: SignalledChange['kind'], done: string]>>> = {
  'credential.rename': ['update', 'renamed'],
  'credential.suspend': ['update', 'suspended'],
  'credential.reinstate': ['update', 'reinstated'],
  'credential.revoke': ['revoke', 'revoked'],
  'user.erase': ['delete', 'erased with the user'],
};

/**
 * Describes a change by a caller for receivers. The caller decides it for a user or by itself, and does not say which, so CAEP's
 * `initiating_entity` is `admin`.
 *
 * @param credential as the change leaves it
 * @param reason as the caller gives it
 * @returns an empty list: receivers do not hear of this type of change
 */
export function listSignals(
  context: RequestContext,
  type: AuditEventType,
  credential: CredentialEntity,
  happenedAt: Date,
  reason?: unknown,
): SignalledChange[] {
  const [kind, done] = SIGNALLED[type] ?? [];
  if (kind === undefined || done === undefined) return [];
  const told = typeof reason === 'string' && reason !== '' ? `${done}: ${reason}` : done;
  return [{ ...describe(context, credential, happenedAt), kind, initiator: 'admin', reason: told }];
}

const CLONE_REASON = 'the signature counter did not grow: the passkey may have been cloned (WebAuthn L3 §6.1.1)';

/** Describes the suspicion that a passkey was cloned. */
export function describeClone(
  context: RequestContext,
  credential: CredentialEntity,
  happenedAt: Date,
): SignalledChange {
  const described = describe(context, credential, happenedAt);
  return { ...described, kind: 'compromise', initiator: 'system', reason: CLONE_REASON };
}

function describe(
  { requestId }: RequestContext,
  { rpId, userId, name, attachment, aaguid }: CredentialEntity,
  happenedAt: Date,
): Omit<SignalledChange, 'kind' | 'initiator' | 'reason'> {
  return { rpId, userId, name, attachment, aaguid, txn: requestId, happenedAt };
}
