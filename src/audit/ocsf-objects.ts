import type { RequestContext } from '../identity/request-context.js';
import type { AuditEntry } from './audit-entry.js';

type Members = Record<string, unknown>;

export const PRODUCT = { name: 'Passkey Manager', vendor_name: 'Passkey Manager' };
export const SERVICE = { name: PRODUCT.name };
export const WEBAUTHN_FACTOR = { factor_type_id: 10, factor_type: 'WebAuthn' };

/** OCSF's `actor`: the caller, and what the access policy decided about it; where nobody asked, the service itself. */
export function actorOf(context: RequestContext | null): Members {
  if (!context) return { app_name: PRODUCT.name };
  const { caller, decision } = context;
  return withoutUndefined({
    ...(caller
      ? { app_uid: caller.spiffeId, session: { credential_uid: caller.fingerprint } }
      : { app_name: 'unidentified' }),
    authorizations: decision && [
      { decision: decision.outcome, policy: { name: 'access policy', uid: decision.policyDigest } },
    ],
  });
}

/** OCSF's `network_endpoint` of the caller; of a connection that is gone, its address is not known any more. */
export function sourceOf(context: RequestContext | null): Members {
  if (!context) return { svc_name: SERVICE.name };
  const { ip, port } = context.source;
  return ip === '' ? { name: 'unknown' } : { ip, port };
}

export function apiOf({ type }: AuditEntry, context: RequestContext | null): Members {
  return { operation: context?.operation ?? type, service: SERVICE };
}

export function userOf({ userId, rpId }: AuditEntry): Members {
  return withoutUndefined({ uid: userId, domain: rpId, ...(userId ? {} : { name: 'unknown' }) });
}

/** OCSF's `managed_entity`. It has a word of its own for users only; 99 is Other, and `type` says what. */
export function entityOf(entry: AuditEntry): Members {
  if (entry.type === 'user.erase') return { type_id: 2, type: 'User', ...named(entry.userId), user: userOf(entry) };
  return entry.type.startsWith('relying-party.')
    ? { type_id: 99, type: 'relying-party', ...named(entry.rpId) }
    : { type_id: 99, type: 'passkey', ...named(entry.credential?.id) };
}

/** OCSF has no entity that has neither a uid nor a name. */
const named = (uid: string | undefined): Members => (uid === undefined ? { name: 'unknown' } : { uid });

export function credentialOf({ credential, userId }: AuditEntry): Members | undefined {
  return (
    credential && withoutUndefined({ uid: credential.id, credential_id: credential.credentialId, user_uid: userId })
  );
}

export function withoutUndefined(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
