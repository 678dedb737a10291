import type { RequestContext } from '../identity/request-context.js';
import { AUDIT_EVENTS, type AuditEntry } from './audit-entry.js';
import {
  actorOf,
  apiOf,
  credentialOf,
  entityOf,
  PRODUCT,
  SERVICE,
  sourceOf,
  userOf,
  WEBAUTHN_FACTOR,
  withoutUndefined,
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
/** The classes that have an `actor` by the host profile only. */
const WITHOUT_ACTOR: ReadonlySet<number> = new Set([2004, 6002]);
const OTHER = 99;
const FINDINGS: Readonly<Partial<Record<AuditEntry['type'], string>>> = {
  'credential.tampered': 'A credential record fails its integrity check',
  'audit.failure': 'The audit log fails',
  'audit.recovery': 'The audit log works again',
  'risk.signal': 'A sign that something is wrong with a caller',
};

/** Where and when an entry was made; the context is absent for what the service does on its own. */
export interface EventOrigin {
  readonly id: string;
  readonly time: Date;
  readonly context: RequestContext | null;
}

/** The OCSF 1.8 record of an entry, as it is hashed, stored and shown. */
export function toOcsf(entry: AuditEntry, origin: EventOrigin): Record<string, unknown> {
  const [categoryUid, classUid, activityId, activityName] = AUDIT_EVENTS[entry.type];
  const { time, context } = origin;
  return withoutUndefined({
    activity_id: activityId,
    activity_name: activityName,
    category_uid: categoryUid,
    category_name: CATEGORIES[categoryUid],
    class_uid: classUid,
    class_name: CLASSES[classUid],
    type_uid: classUid * 100 + activityId,
    type_name: `${CLASSES[classUid] ?? ''}: ${activityId === OTHER ? 'Other' : activityName}`,
    ...severityOf(entry),
    ...statusOf(entry, classUid),
    time: time.getTime(),
    time_dt: time.toISOString(),
    metadata: metadataOf(entry, classUid, origin),
    actor: actorOf(context),
    ...classMembers(classUid, entry, origin),
    unmapped: withoutUndefined({
      rp_id: entry.rpId,
      credential: credentialOf(entry),
      permission: context?.decision?.permission,
      epoch: context?.decision?.epoch,
      ...entry.facts,
    }),
  });
}

function severityOf({ type, outcome }: AuditEntry): Record<string, unknown> {
  if (type === 'credential.tampered' || type === 'audit.failure') return { severity_id: 4, severity: 'High' };
  if (type === 'risk.signal') return { severity_id: 3, severity: 'Medium' };
  return outcome === 'failure' ? { severity_id: 2, severity: 'Low' } : { severity_id: 1, severity: 'Informational' };
}

/** A finding's `status_id` is that of its workflow (2 is In Progress): there, how it ended is Other, and a word. */
function statusOf({ outcome, reason, detail }: AuditEntry, classUid: number): Record<string, unknown> {
  const [id, status] = outcome === 'failure' ? [2, 'Failure'] : [1, 'Success'];
  return { status_id: classUid === 2004 ? OTHER : id, status, status_code: reason, status_detail: detail };
}

function metadataOf({ type }: AuditEntry, classUid: number, { id, context }: EventOrigin): Record<string, unknown> {
  return withoutUndefined({
    version: '1.8.0',
    product: PRODUCT,
    profiles: WITHOUT_ACTOR.has(classUid) ? ['datetime', 'host'] : ['datetime'],
    uid: id,
    event_code: type,
    correlation_uid: context?.requestId === '' ? undefined : context?.requestId,
  });
}

/** The members that an event has by its class. */
function classMembers(classUid: number, entry: AuditEntry, { id, context }: EventOrigin): Record<string, unknown> {
  const [user, api, src_endpoint] = [userOf(entry), apiOf(entry, context), sourceOf(context)];
  switch (classUid) {
    case 2004:
      return {
        finding_info: { uid: id, title: FINDINGS[entry.type] },
        is_alert: true,
        evidences: [{ user, api, src_endpoint }],
      };
    case 3001:
      return { user, src_endpoint, auth_factors: [WEBAUTHN_FACTOR] };
    case 3002:
      return { user, src_endpoint, ...authenticationOf(entry) };
    case 3004:
      return { entity: entityOf(entry), src_endpoint };
    case 6002:
      return { app: PRODUCT };
    default:
      return { api, src_endpoint };
  }
}

function authenticationOf({ userVerified, rpId }: AuditEntry): Record<string, unknown> {
  return withoutUndefined({
    auth_protocol_id: OTHER,
    auth_protocol: 'WebAuthn',
    auth_factors: [WEBAUTHN_FACTOR],
    is_mfa: userVerified,
    service: SERVICE,
    dst_endpoint: rpId ? { hostname: rpId } : undefined,
  });
}
