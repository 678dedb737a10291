import type { RequestContext } from '../http/request-context.js';
import type { AuditEntry } from './audit-entry.js';

type Members = Record<string, unknown>;

export const PRODUCT = { name: 'Passkey Manager', vendor_name: 'Passkey Manager' };
export const SERVICE = { name: PRODUCT.name };
export const WEBAUTHN_FACTOR = { factor_type: 'WebAuthn', factor_type_id: 10 };

/**
 * Builds OCSF's `actor`: the caller with the decision of the access policy, or the service itself if there is no
 * request.
 */
export function toActor(context: RequestContext | null): Members {
  if (!context) return { app_name: PRODUCT.name };
  const { caller, decision } = context;
  const authorizations = decision && [
    { decision: decision.outcome, policy: { name: 'access policy', uid: decision.policyDigest } },
  ];
  return caller
    ? { app_uid: caller.spiffeId, authorizations, session: { credential_uid: caller.fingerprint } }
    : { app_name: 'unidentified', authorizations };
}

/** Builds OCSF's `network_endpoint` of the caller. The address of a connection that is gone is not known any more. */
export function toSourceEndpoint(context: RequestContext | null): Members {
  if (!context) return { svc_name: SERVICE.name };
  const { ip, port } = context.source;
  return ip === '' ? { name: 'unknown' } : { ip, port };
}

export function toApi({ type }: AuditEntry, context: RequestContext | null): Members {
  return { operation: context?.operation ?? type, service: SERVICE };
}

export function toUser({ userId, rpId }: AuditEntry): Members {
  return { domain: rpId, name: userId ? undefined : 'unknown', uid: userId };
}

/**
 * Builds OCSF's `managed_entity`. OCSF has a type for users, but none for relying parties and passkeys: these are 99
 * (Other), and `type` names them.
 */
export function toManagedEntity(entry: AuditEntry): Members {
  if (entry.type === 'user.erase') return buildManagedEntity(entry.userId, 'User', 2, toUser(entry));
  return entry.type.startsWith('relying-party.')
    ? buildManagedEntity(entry.rpId, 'relying-party', 99)
    : buildManagedEntity(entry.credential?.id, 'passkey', 99);
}

/** OCSF requires an entity to have a uid or a name. */
function buildManagedEntity(uid: string | undefined, type: string, type_id: number, user?: Members): Members {
  return { name: uid === undefined ? 'unknown' : undefined, type, type_id, uid, user };
}

export function toCredentialMembers({ credential, userId }: AuditEntry): Members | undefined {
  return credential && { credential_id: credential.credentialId, uid: credential.id, user_uid: userId };
}

/** Sorts members by UTF-16 code units (RFC 8785 §3.2.3). */
export function sortMembers(members: Members): Members {
  const ordered: Members = {};
  for (const name of Object.keys(members).sort()) ordered[name] = members[name];
  return ordered;
}
