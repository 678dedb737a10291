import { describe, expect, it } from '@jest/globals';
import canonicalize from 'canonicalize';
import { AUTH_SERVICE, makeAuthorizedContext } from '../../test/support/callers.js';
import type { RequestContext } from '../http/request-context.js';
import { AUDIT_EVENTS, type AuditEntry, type AuditEventType } from './audit-entry.js';
import { toOcsf } from './ocsf.js';

const TYPES = Object.keys(AUDIT_EVENTS) as AuditEventType[];
const ID = '0199b4e0-0000-7000-8000-000000000001';
const APPROVAL = '0199b4e0-0000-7000-8000-0000000000a1';
const STREAM = '0195511f-03b2-7c11-8d0e-5b7a90a4c3d9';
const TIME = new Date('2026-06-30T12:34:56.789Z');

/** Returns the context that the service gives: some events have no request. */
const getContext = (type: AuditEventType): RequestContext | null =>
  /^(service|schema)\./.test(type) ? null : makeAuthorizedContext();

const createRecord = (entry: Partial<AuditEntry> & Pick<AuditEntry, 'type'>, context = getContext(entry.type)) =>
  JSON.parse(JSON.stringify(toOcsf({ outcome: 'success', ...entry }, { id: ID, time: TIME, context }))) as Record<
    string,
    unknown
  >;

/** Paths that OCSF 1.8 requires of each class beside the base event. At least one path of a list is required. */
const REQUIRED: Readonly<Record<number, (string | string[])[]>> = {
  2004: ['finding_info.uid', 'finding_info.title'],
  3001: [['user.uid', 'user.name']],
  3002: [
    ['user.uid', 'user.name'],
    ['service.name', 'dst_endpoint.hostname'],
  ],
  3004: [['entity.uid', 'entity.name']],
  6002: ['app.name', 'app.vendor_name'],
  6003: [['actor.app_uid', 'actor.app_name'], 'api.operation', 'src_endpoint.ip'],
};
const BASE = [
  'activity_id',
  'category_uid',
  'class_uid',
  'type_uid',
  'severity_id',
  'time',
  'metadata.version',
  'metadata.product.name',
  'metadata.uid',
];

const readPath = (event: unknown, path: string): unknown =>
  path.split('.').reduce((part, name) => (part as Record<string, unknown> | undefined)?.[name], event);

const subject = { rpId: 'a.example', userId: 'u-1', credential: { id: ID, credentialId: 'AAAA' } };

describe.each(TYPES)('%s', (type) => {
  const [categoryUid, classUid, activityId, activityName] = AUDIT_EVENTS[type];

  it('has every path that its class requires', () => {
    const event = createRecord({ type, ...subject });
    for (const path of BASE) expect([path, readPath(event, path)]).toEqual([path, expect.anything()]);
    for (const paths of REQUIRED[classUid]!) {
      const values = [paths].flat().map((path) => readPath(event, path));
      expect([paths, values]).toEqual([paths, expect.arrayContaining([expect.anything()])]);
    }
  });

  it('has every path that its class requires, except the entity, when its subject is unknown', () => {
    const event = createRecord({ type, outcome: 'failure', ...(/^(relying|user)/.test(type) && subject) });
    for (const paths of REQUIRED[classUid]!.filter((required) => !String(required).startsWith('entity'))) {
      const values = [paths].flat().map((path) => readPath(event, path));
      expect([paths, values]).toEqual([paths, expect.arrayContaining([expect.anything()])]);
    }
  });

  it('names its class, category and activity consistently', () => {
    expect(createRecord({ type, ...subject })).toMatchObject({
      category_uid: categoryUid,
      class_uid: classUid,
      activity_id: activityId,
      activity_name: activityName,
      type_uid: classUid * 100 + activityId,
      category_name: expect.any(String),
      class_name: expect.any(String),
    });
    const { class_name, type_name } = createRecord({ type, ...subject });
    expect(type_name).toBe(`${String(class_name)}: ${activityId === 99 ? 'Other' : activityName}`);
    expect(Math.floor(classUid / 1_000)).toBe(categoryUid);
  });

  it('is built in canonical order, so that nothing has to be sorted', () => {
    const decision = { outcome: 'allowed', permission: 'audit:read', policyDigest: 'cd', epoch: 3 } as const;
    const facts = { zone: 1, about: { list: [{ a: 1, b: 2 }], other: null }, purpose: undefined };
    for (const context of [null, makeAuthorizedContext(), { ...makeAuthorizedContext(), decision }]) {
      const entry = {
        type,
        outcome: 'success',
        reason: 'r',
        detail: 'd',
        userVerified: true,
        ...subject,
        facts,
      } as const;
      for (const each of [entry, { type, outcome: 'failure' } as const]) {
        const record = toOcsf(each, { id: ID, time: TIME, context });
        expect(JSON.stringify(record)).toBe(canonicalize(record));
      }
    }
  });

  it('says when, by whom and in which request it happened', () => {
    const event = createRecord({ type, ...subject });
    expect(event).toMatchObject({
      time: TIME.getTime(),
      time_dt: '2026-06-30T12:34:56.789Z',
      metadata: { uid: ID, event_code: type, version: '1.8.0', profiles: expect.arrayContaining(['datetime']) },
      actor: expect.anything(),
    });
    if (getContext(type) === null) return;
    expect(event).toMatchObject({
      actor: { app_uid: AUTH_SERVICE.spiffeId, session: { credential_uid: AUTH_SERVICE.fingerprint } },
      metadata: { correlation_uid: '0199b4e0-0000-7000-8000-000000000001' },
    });
    const source = { src_endpoint: { ip: '192.0.2.7', port: 50_000 } };
    expect(event).toMatchObject(classUid === 2004 ? { evidences: [source] } : source);
  });

  it('says how it ended, and why', () => {
    const [success, failure] = classUid === 2004 ? [99, 99] : [1, 2];
    expect(createRecord({ type, ...subject })).toMatchObject({ status_id: success, status: 'Success' });
    expect(createRecord({ type, ...subject, outcome: 'failure', reason: 'r', detail: 'd' })).toMatchObject({
      status_id: failure,
      status: 'Failure',
      status_code: 'r',
      status_detail: 'd',
    });
  });

  it('has no undefined member, so that its hash is the hash of its JSON', () => {
    const hasUndefined = (value: unknown): boolean =>
      value === undefined || (typeof value === 'object' && value !== null && Object.values(value).some(hasUndefined));
    expect(hasUndefined(createRecord({ type, ...subject }))).toBe(false);
  });
});

describe('an authentication', () => {
  it('names WebAuthn, the user and the relying party, and says whether more than one factor was used', () => {
    expect(createRecord({ type: 'credential.verify', ...subject, userVerified: true })).toMatchObject({
      auth_protocol_id: 99,
      auth_protocol: 'WebAuthn',
      is_mfa: true,
      auth_factors: [{ factor_type_id: 10, factor_type: 'WebAuthn' }],
      user: { uid: 'u-1', domain: 'a.example' },
      dst_endpoint: { hostname: 'a.example' },
      unmapped: { rp_id: 'a.example', credential: { uid: ID, credential_id: 'AAAA', user_uid: 'u-1' } },
    });
    expect(createRecord({ type: 'credential.verify', userVerified: false })).toMatchObject({ is_mfa: false });
    expect(createRecord({ type: 'credential.verify' })).not.toHaveProperty('is_mfa');
  });

  it('that names no user is recorded for an unknown user', () => {
    expect(createRecord({ type: 'challenge.issue', rpId: 'a.example' })).toMatchObject({
      user: { name: 'unknown', domain: 'a.example' },
    });
  });
});

describe('the entity', () => {
  it.each<[AuditEventType, object]>([
    ['credential.rename', { type_id: 99, type: 'passkey', uid: ID }],
    ['credential.suspend', { type_id: 99, type: 'passkey', uid: ID }],
    ['credential.reinstate', { type_id: 99, type: 'passkey', uid: ID }],
    ['user.erase', { type_id: 2, type: 'User', uid: 'u-1', user: { uid: 'u-1', domain: 'a.example' } }],
    ['relying-party.create', { type_id: 99, type: 'relying-party', uid: 'a.example' }],
    ['relying-party.update', { type_id: 99, type: 'relying-party', uid: 'a.example' }],
    [
      'signal-stream.update',
      { type_id: 99, type: 'signal-stream', uid: STREAM, user: { uid: 'u-1', domain: 'a.example' } },
    ],
    ['approval.approve', { type_id: 99, type: 'approval', uid: APPROVAL, user: { uid: 'u-1', domain: 'a.example' } }],
  ])('of %s is %j', (type, entity) => {
    expect(createRecord({ type, ...subject, approvalId: APPROVAL, streamId: STREAM })['entity']).toEqual(entity);
  });

  it('that is unknown has a name that says so', () => {
    expect(createRecord({ type: 'credential.rename' })['entity']).toEqual({
      type_id: 99,
      type: 'passkey',
      name: 'unknown',
    });
  });
});

describe('the actor', () => {
  it('that was not identified is recorded as such, and never left out', () => {
    const { caller, ...context } = makeAuthorizedContext();
    const event = createRecord({ type: 'access.denied', outcome: 'failure', reason: 'caller-unidentified' }, context);
    expect(event['actor']).toEqual({ app_name: 'unidentified' });
    expect(caller).toBeDefined();
  });

  it('is the service itself when no caller asked', () => {
    expect(createRecord({ type: 'service.start' })['actor']).toEqual({ app_name: 'Passkey Manager' });
    expect(createRecord({ type: 'service.start' })).not.toHaveProperty('src_endpoint');
    expect(createRecord({ type: 'audit.read' }, null)).toMatchObject({ src_endpoint: { svc_name: 'Passkey Manager' } });
  });

  it.each(['allowed', 'denied'] as const)('carries the decision of the access policy: %s', (outcome) => {
    const decision = { outcome, permission: 'audit:read', policyDigest: 'cd'.repeat(32), epoch: 3 };
    expect(
      createRecord({ type: 'audit.read', facts: { event: ID } }, { ...makeAuthorizedContext(), decision }),
    ).toMatchObject({
      actor: {
        app_uid: AUTH_SERVICE.spiffeId,
        authorizations: [{ decision: outcome, policy: { name: 'access policy', uid: 'cd'.repeat(32) } }],
      },
      unmapped: { event: ID, permission: 'audit:read', epoch: 3 },
    });
    expect(createRecord({ type: 'audit.read' })['actor']).not.toHaveProperty('authorizations');
  });
});

describe('the source', () => {
  it('that is gone is recorded as unknown', () => {
    const event = createRecord(
      { type: 'handshake.refused' },
      { ...makeAuthorizedContext(), source: { ip: '', port: 0 } },
    );
    expect(event['src_endpoint']).toEqual({ name: 'unknown' });
  });
});

describe('the use of the API', () => {
  it('is described by its operation', () => {
    const { operation } = makeAuthorizedContext();
    expect(createRecord({ type: 'audit.read' })['api']).toEqual({ operation, service: { name: 'Passkey Manager' } });
    const own = createRecord({ type: 'audit.read' }, null);
    expect(own['api']).toEqual({ operation: 'audit.read', service: { name: 'Passkey Manager' } });
  });
});

describe('the severity', () => {
  it.each<[AuditEventType, AuditEntry['outcome'], number, string]>([
    ['credential.verify', 'success', 1, 'Informational'],
    ['credential.verify', 'failure', 2, 'Low'],
    ['access.denied', 'failure', 2, 'Low'],
    ['credential.tampered', 'failure', 4, 'High'],
    ['relying-party.tampered', 'failure', 4, 'High'],
  ])('of %s with %s is %i, %s', (type, outcome, id, name) => {
    expect(createRecord({ type, outcome })).toMatchObject({ severity_id: id, severity: name });
  });
});

describe('the facts of an event', () => {
  it('are unmapped, and cannot replace a member of the event', () => {
    const event = createRecord({
      type: 'audit.read',
      facts: { status_id: 1, nothing: undefined, filter: { limit: 5 } },
    });
    expect(event['unmapped']).toEqual({ status_id: 1, filter: { limit: 5 } });
    expect(event['status_id']).toBe(1);
  });
});
