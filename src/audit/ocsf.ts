import type { RequestContext } from '../identity/request-context.js';
import { AUDIT_EVENTS, type AuditEntry } from './audit-entry.js';

const PRODUCT = { name: 'Passkey Manager', vendor_name: 'Passkey Manager' };
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

/** Where and when an entry was made; the context is absent for what the service does on its own. */
export interface EventOrigin {
  readonly id: string;
  readonly time: Date;
  readonly context: RequestContext | null;
}

/** The OCSF 1.8 record of an entry, as it is hashed, stored and shown. */
export function toOcsf(entry: AuditEntry, { id, time, context }: EventOrigin): Record<string, unknown> {
  const [categoryUid, classUid, activityId, activityName] = AUDIT_EVENTS[entry.type];
  const failed = entry.outcome === 'failure';
  const severity = entry.type === 'credential.tampered' ? 4 : failed ? 2 : 1;
  return withoutUndefined({
    activity_id: activityId,
    activity_name: activityName,
    category_uid: categoryUid,
    category_name: CATEGORIES[categoryUid],
    class_uid: classUid,
    class_name: CLASSES[classUid],
    type_uid: classUid * 100 + activityId,
    type_name: `${CLASSES[classUid] ?? ''}: ${activityName}`,
    severity_id: severity,
    severity: { 1: 'Informational', 2: 'Low', 4: 'High' }[severity],
    status_id: failed ? 2 : 1,
    status: failed ? 'Failure' : 'Success',
    status_code: entry.reason,
    status_detail: entry.detail,
    time: time.getTime(),
    time_dt: time.toISOString(),
    metadata: withoutUndefined({
      version: '1.8.0',
      product: PRODUCT,
      profiles: ['datetime'],
      uid: id,
      event_code: entry.type,
      correlation_uid: context?.requestId === '' ? undefined : context?.requestId,
    }),
    actor: actorOf(context),
    src_endpoint: context ? { ip: context.source.ip, port: context.source.port } : undefined,
    ...classMembers(classUid, entry, id, context),
    unmapped: withoutUndefined({ rp_id: entry.rpId, credential: credentialOf(entry), ...entry.facts }),
  });
}

function actorOf(context: RequestContext | null): Record<string, unknown> {
  if (!context) return { app_name: PRODUCT.name };
  const { caller } = context;
  if (!caller) return { app_name: 'unidentified' };
  return { app_uid: caller.spiffeId, session: { credential_uid: caller.fingerprint } };
}

/** The members that a class requires beside those that every event has. */
function classMembers(
  classUid: number,
  entry: AuditEntry,
  id: string,
  context: RequestContext | null,
): Record<string, unknown> {
  const user = withoutUndefined({
    uid: entry.userId,
    domain: entry.rpId,
    ...(entry.userId ? {} : { name: 'unknown' }),
  });
  switch (classUid) {
    case 2004:
      return { finding_info: { uid: id, title: 'A credential record fails its integrity check' } };
    case 3001:
      return { user };
    case 3002:
      return withoutUndefined({
        user,
        auth_protocol_id: 99,
        auth_protocol: 'WebAuthn',
        is_mfa: entry.userVerified,
        service: PRODUCT,
        dst_endpoint: entry.rpId ? { hostname: entry.rpId } : undefined,
      });
    case 3004:
      return { entity: entityOf(entry) };
    case 6002:
      return { app: PRODUCT };
    default:
      return { api: { operation: context?.operation ?? 'TLS handshake', service: { name: PRODUCT.name } } };
  }
}

function entityOf(entry: AuditEntry): Record<string, unknown> {
  if (entry.type.startsWith('relying-party.')) return { type: 'relying-party', uid: entry.rpId };
  if (entry.type === 'user.erase') return { type: 'user', uid: entry.userId };
  return { type: 'passkey', uid: entry.credential?.id };
}

function credentialOf({ credential, userId }: AuditEntry): Record<string, unknown> | undefined {
  return (
    credential && withoutUndefined({ uid: credential.id, credential_id: credential.credentialId, user_uid: userId })
  );
}

function withoutUndefined(members: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}
