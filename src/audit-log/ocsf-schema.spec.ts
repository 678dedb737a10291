import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { CLASS_UIDS, OCSF_VERSION } from '../../test/support/ocsf/json-schema.js';
import { findViolations } from '../../test/support/ocsf/violations.js';
import type { RequestContext } from '../http/request-context.js';
import { AUDIT_EVENTS, type AuditEntry, type AuditEventType } from '../audit/audit-entry.js';
import { createAuditRow } from '../audit/audit-event.repository.js';

const TYPES = Object.keys(AUDIT_EVENTS) as AuditEventType[];
const OUTCOMES = ['success', 'failure'] as const;
const TIME = new Date('2026-06-30T12:34:56.789Z');

/** Returns the record as it is stored. */
const createStored = (entry: AuditEntry, context: RequestContext | null = makeAuthorizedContext(), time = TIME) =>
  JSON.parse(createAuditRow(entry, context, time).values[1] as string) as Record<string, unknown>;

const createDecided = (outcome: 'allowed' | 'denied'): RequestContext => ({
  ...makeAuthorizedContext(),
  decision: { outcome, permission: 'credentials:verify', policyDigest: 'cd'.repeat(32), epoch: 3 },
});
const { caller: _caller, ...unidentified } = makeAuthorizedContext();
const gone = { ...unidentified, requestId: '', source: { ip: '', port: 0 } };
const CONTEXTS: Record<string, RequestContext | null> = {
  'a caller': makeAuthorizedContext(),
  'a caller that may': createDecided('allowed'),
  'a caller that may not': createDecided('denied'),
  'somebody unidentified': unidentified,
  'a connection that is gone': gone,
  'the service itself': null,
};

const FULL: Omit<AuditEntry, 'type' | 'outcome'> = {
  reason: 'origin-mismatch',
  detail: 'the origin is not one of the relying party',
  rpId: 'a.example',
  userId: 'u-1',
  credential: { id: '0199b4e0-0000-7000-8000-000000000002', credentialId: 'AAAA' },
  userVerified: true,
  facts: { purpose: 'login', filter: { limit: 5 }, nothing: null, list: [1, 'two'] },
};
const MEMBERS = Object.keys(FULL) as (keyof typeof FULL)[];

it('the test’s OCSF schema has the version that the events name and the classes that they use', () => {
  expect(createStored({ type: 'service.start', outcome: 'success' }, null)).toHaveProperty(
    'metadata.version',
    OCSF_VERSION,
  );
  expect(new Set(CLASS_UIDS)).toEqual(new Set(TYPES.map((type) => String(AUDIT_EVENTS[type][1]))));
});

describe.each(TYPES)('%s conforms to OCSF 1.8', (type) => {
  it.each(Object.keys(CONTEXTS))('when it is for %s', (name) => {
    for (const outcome of OUTCOMES) {
      expect(findViolations(createStored({ type, outcome }, CONTEXTS[name]))).toEqual([]);
      expect(findViolations(createStored({ type, outcome, ...FULL }, CONTEXTS[name]))).toEqual([]);
    }
  });

  it.each(MEMBERS)('with %s alone, and without it', (member) => {
    const { [member]: _left, ...others } = FULL;
    expect(findViolations(createStored({ type, outcome: 'failure', [member]: FULL[member] }))).toEqual([]);
    expect(findViolations(createStored({ type, outcome: 'failure', ...others }))).toEqual([]);
  });
});

it('every recorded event conforms to OCSF', () => {
  const text = fc.string({ unit: 'grapheme' });
  const entries = fc.record(
    {
      type: fc.constantFrom(...TYPES),
      outcome: fc.constantFrom(...OUTCOMES),
      reason: text,
      detail: text,
      rpId: text,
      userId: text,
      credential: fc.record({ id: text, credentialId: text }, { requiredKeys: ['credentialId'] }),
      userVerified: fc.boolean(),
      facts: fc.dictionary(text, fc.jsonValue()),
    },
    { requiredKeys: ['type', 'outcome'] },
  );
  const address = fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((ip) => ip.length <= 40),
    fc.ipV4().map((ip) => `::ffff:${ip}`),
    fc.constantFrom('', 'fe80::1%eth0'),
  );
  const contexts = fc
    .record({ requestId: text, operation: text, source: fc.record({ ip: address, port: fc.nat(65_535) }) })
    .chain((made) =>
      fc.constantFrom(null, made, { ...makeAuthorizedContext(), ...made }, { ...createDecided('denied'), ...made }),
    );
  const times = fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31T23:59:59.999Z') });
  fc.assert(
    fc.property(entries, contexts, times, (entry, context, time) => {
      expect(findViolations(createStored(entry, context, time))).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

describe('an event does not conform to OCSF', () => {
  const omitMembers = (event: Record<string, unknown>, ...names: string[]): object =>
    Object.fromEntries(Object.entries(event).filter(([name]) => !names.includes(name)));
  const verified = createStored({ type: 'credential.verify', outcome: 'success', ...FULL });
  const denied = createStored({ type: 'access.denied', outcome: 'failure', ...FULL });
  const started = createStored({ type: 'service.start', outcome: 'success' }, null);
  const renamed = createStored({ type: 'credential.rename', outcome: 'success', ...FULL });

  it.each<[string, object, string]>([
    ['of a class that is not carried', { ...verified, class_uid: 3005 }, 'class_uid'],
    ['with a member that its class does not have', { ...verified, rp_id: 'a.example' }, 'rp_id'],
    [
      'with a member that its object does not have',
      { ...verified, service: { name: 'x', vendor_name: 'x' } },
      'vendor_name',
    ],
    ['with an object that is not carried', { ...verified, http_request: {} }, 'http_request'],
    ['without a required member', omitMembers(verified, 'user'), 'user'],
    ['with neither of two of which it takes one', omitMembers(verified, 'service', 'dst_endpoint'), 'dst_endpoint'],
    ['of no user', { ...verified, user: { domain: 'a.example' } }, 'account'],
    [
      'of another type than its activity',
      { ...verified, type_uid: 300_206, type_name: 'Authentication: Preauth' },
      'type_uid',
    ],
    ['of an activity that its class does not have', { ...renamed, activity_id: 14, type_uid: 300_414 }, 'activity_id'],
    ['with a caption that is not its id’s', { ...verified, severity: 'High' }, 'severity'],
    ['with a caption and no id', omitMembers(verified, 'severity_id'), 'severity_id'],
    ['of another activity, which it does not name', omitMembers(denied, 'activity_name'), 'activity_name'],
    ['by a request from nowhere', omitMembers(denied, 'src_endpoint'), 'src_endpoint'],
    ['from a malformed address', { ...denied, src_endpoint: { ip: 'localhost' } }, 'src_endpoint.ip'],
    ['with a time in words', { ...verified, time: '2026-06-30T12:34:56.789Z' }, 'time'],
    [
      'with a member of a profile that it does not name',
      { ...started, metadata: { version: '1.8.0', product: { name: 'x' }, profiles: ['datetime'] } },
      'metadata.profiles',
    ],
    [
      'of another version',
      { ...started, metadata: { version: '1.9.0', product: { name: 'x' }, profiles: ['datetime', 'host'] } },
      'metadata.version',
    ],
  ])('%s', (_, event, violation) => {
    expect(findViolations(event).join('\n')).toContain(violation);
  });
});
