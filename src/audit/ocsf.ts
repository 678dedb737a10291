import type { RequestContext } from '../http/request-context.js';
import { AUDIT_EVENTS, type AuditEntry } from './audit-entry.js';

const CATEGORIES: Readonly<Record<number, string>> = {
  2: 'Findings',
  3: 'Identity & Access Management',
  6: 'Application Activity',
};
const CLASSES: Readonly<Record<number, string>> = {
  2004: 'Detection Finding',
  3001: 'Account Change',
  3002: 'Authentication',
  3004: 'Entity Management',
  6002: 'Application Lifecycle',
  6003: 'API Activity',
};
/** Classes that have an `actor` only through the host profile. */
const WITHOUT_ACTOR: ReadonlySet<number> = new Set([2004, 6002]);
const OTHER = 99;
const FINDINGS: Readonly<Partial<Record<AuditEntry['type'], string>>> = {
  'credential.tampered': 'A credential record fails its integrity check',
  'user.tampered': 'The record of a user fails its integrity check',
  'approval.tampered': 'A request for an approval fails its integrity check',
  'relying-party.tampered': 'The record of a relying party fails its integrity check',
  'reconciliation.finding': 'A record contradicts the audit log',
  'audit.failure': 'The audit log fails',
  'audit.recovery': 'The audit log works again',
  'signal-stream.drop': 'Signals were dropped before their receiver got them',
  'risk.signal': 'Suspicious activity of a caller',
};
const HIGH: ReadonlySet<AuditEntry['type']> = new Set(['audit.failure', 'reconciliation.finding']);

/** When an entry was made, and for which request. `context` is null for what the service does on its own. */
export interface EventOrigin {
  readonly id: string;
  readonly time: Date;
  readonly context: RequestContext | null;
}

/**
 * Converts an entry to its OCSF 1.8 record, as it is hashed, stored and shown. Members are in the order of RFC 8785
 * §3.2.3 wherever that is known here, so that writing the record writes its canonical form.
 */
export function toOcsf(entry: AuditEntry, origin: EventOrigin): Record<string, unknown> {
  const [categoryUid, classUid, activityId, activityName] = AUDIT_EVENTS[entry.type];
  const { time, context } = origin;
  const [user, src_endpoint] = [toUser(entry), toSourceEndpoint(context)];
  const isAuthentication = classUid === 3002;
  const isFinding = classUid === 2004;
  const hasUser = isAuthentication || classUid === 3001;
  const [severity_id, severity] = rateSeverity(entry);
  const failed = entry.outcome === 'failure';
  return {
    activity_id: activityId,
    activity_name: activityName,
    actor: toActor(context),
    api: classUid === 6003 ? toApi(entry, context) : undefined,
    app: classUid === 6002 ? PRODUCT : undefined,
    auth_factors: hasUser ? [WEBAUTHN_FACTOR] : undefined,
    auth_protocol: isAuthentication ? 'WebAuthn' : undefined,
    auth_protocol_id: isAuthentication ? OTHER : undefined,
    category_name: CATEGORIES[categoryUid],
    category_uid: categoryUid,
    class_name: CLASSES[classUid],
    class_uid: classUid,
    dst_endpoint: isAuthentication && entry.rpId ? { hostname: entry.rpId } : undefined,
    entity: classUid === 3004 ? toManagedEntity(entry) : undefined,
    evidences: isFinding ? [{ api: toApi(entry, context), src_endpoint, user }] : undefined,
    finding_info: isFinding ? { title: FINDINGS[entry.type], uid: origin.id } : undefined,
    is_alert: isFinding ? true : undefined,
    is_mfa: isAuthentication ? entry.userVerified : undefined,
    metadata: toMetadata(entry, classUid, origin),
    service: isAuthentication ? SERVICE : undefined,
    severity,
    severity_id,
    src_endpoint: isFinding || classUid === 6002 ? undefined : src_endpoint,
    status: failed ? 'Failure' : 'Success',
    status_code: entry.reason,
    status_detail: entry.detail,
    // In a finding, `status_id` is the state of its workflow (2 is In Progress). So it is Other here, and `status` names
    // the outcome.
    status_id: isFinding ? OTHER : failed ? 2 : 1,
    time: time.getTime(),
    time_dt: time.toISOString(),
    type_name: `${CLASSES[classUid] ?? ''}: ${activityId === OTHER ? 'Other' : activityName}`,
    type_uid: classUid * 100 + activityId,
    unmapped: toUnmapped(entry, context),
    user: hasUser ? user : undefined,
  };
}

/** Merges our members and the entry's facts, in the order of their names. */
function toUnmapped(entry: AuditEntry, context: RequestContext | null): Record<string, unknown> {
  const { decision, receipt } = context ?? {};
  const own = {
    approval_id: entry.approvalId,
    credential: toCredentialMembers(entry),
    epoch: decision?.epoch,
    permission: decision?.permission,
    ...(receipt && { receipt_audience: receipt.audience, receipt_kid: receipt.kid }),
    rp_id: entry.rpId,
    stream_id: entry.streamId,
  };
  return entry.facts ? sortMembers({ ...own, ...entry.facts }) : own;
}

function rateSeverity({ type, outcome }: AuditEntry): [id: number, name: string] {
  if (type.endsWith('.tampered') || HIGH.has(type)) return [4, 'High'];
  if (type === 'risk.signal') return [3, 'Medium'];
  return outcome === 'failure' ? [2, 'Low'] : [1, 'Informational'];
}

function toMetadata({ type }: AuditEntry, classUid: number, { id, context }: EventOrigin): Record<string, unknown> {
  return {
    correlation_uid: context?.requestId === '' ? undefined : context?.requestId,
    event_code: type,
    product: PRODUCT,
    profiles: WITHOUT_ACTOR.has(classUid) ? ['datetime', 'host'] : ['datetime'],
    uid: id,
    version: '1.8.0',
  };
}

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
 * Builds OCSF's `managed_entity`. OCSF has a type for users, but none for relying parties, passkeys and requests for an
 * approval: these are 99 (Other), and `type` names them.
 */
export function toManagedEntity(entry: AuditEntry): Members {
  if (entry.type.startsWith('user.')) return buildManagedEntity(entry.userId, 'User', 2, toUser(entry));
  if (entry.type.startsWith('approval.'))
    return buildManagedEntity(entry.approvalId, 'approval', 99, entry.userId === undefined ? undefined : toUser(entry));
  if (entry.type.startsWith('signal-stream.'))
    return buildManagedEntity(
      entry.streamId,
      'signal-stream',
      99,
      entry.userId === undefined ? undefined : toUser(entry),
    );
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
