import type { RequestContext } from '../http/request-context.js';
import { AUDIT_EVENTS, type AuditEntry } from './audit-entry.js';
import {
  toActor,
  toApi,
  toCredentialMembers,
  toManagedEntity,
  sortMembers,
  PRODUCT,
  SERVICE,
  toSourceEndpoint,
  toUser,
  WEBAUTHN_FACTOR,
} from './ocsf-objects.js';

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
  'audit.failure': 'The audit log fails',
  'audit.recovery': 'The audit log works again',
  'risk.signal': 'Suspicious activity of a caller',
};

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
  const { decision } = context ?? {};
  const own = {
    credential: toCredentialMembers(entry),
    epoch: decision?.epoch,
    permission: decision?.permission,
    rp_id: entry.rpId,
  };
  return entry.facts ? sortMembers({ ...own, ...entry.facts }) : own;
}

function rateSeverity({ type, outcome }: AuditEntry): [id: number, name: string] {
  if (type === 'credential.tampered' || type === 'audit.failure') return [4, 'High'];
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
