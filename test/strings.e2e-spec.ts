import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { renderHtml } from '../commands/audit-report/html-report.js';
import { buildReport } from '../commands/audit-report/report.js';
import { Review, reviewExport } from '../commands/audit-report/review.js';
import { renderText } from '../commands/audit-report/text-report.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import {
  type AuditEvent,
  type Credential,
  type Page,
  makeProblem,
  type RegistrationChallenge,
  type Verification,
} from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import type { Answer } from './support/client.js';
import { TestService } from './support/service.js';
import { REFUSED_TEXTS, spell, type Spelling, SPELLINGS, generateTexts } from './support/strings.js';

/** Strings of users and callers, through every route that takes some and back through every view of the audit log. */

const RP_ID = 'login.example.com';
const PARTY = `/v1/relying-parties/${RP_ID}`;
const JSON_TYPE = { 'content-type': 'application/json' };
/** The number of users for each spelling. */
const RUNS = 3;

let service: TestService;
/** All listed events by their ids. */
const shown = new Map<string, AuditEvent>();
const users = new Set<string>();
const names: string[] = [];

beforeAll(async () => {
  service = await TestService.start();
  await service.relyingParty(RP_ID);
});
afterAll(() => service.stop());

interface Strings {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly method: string;
  readonly reference: string;
  readonly passkey: string;
  readonly renamed: string;
  readonly reasons: readonly [string, string, string];
  readonly party: string;
}

const STRINGS: fc.Arbitrary<Strings> = fc.record({
  id: generateTexts(256),
  name: generateTexts(256),
  displayName: generateTexts(256),
  method: generateTexts(64),
  reference: generateTexts(256),
  passkey: generateTexts(64),
  renamed: generateTexts(64),
  reasons: fc.tuple(generateTexts(256), generateTexts(256), generateTexts(256)),
  party: generateTexts(256),
});

/** A caller that spells its strings in one way. */
class Speller {
  constructor(private readonly spelling: Spelling) {}

  send<Body>(identity: string, method: string, path: string, body: object): Promise<Answer<Body>> {
    return service.client.send(identity, method, path, { headers: JSON_TYPE, body: spell(body, this.spelling) });
  }

  get<Body>(identity: string, path: string, query: Record<string, string>): Promise<Answer<Body>> {
    const parameters = Object.entries(query).map(([name, value]) => `${name}=${this.spelling.url(value)}`);
    return service.client.send(identity, 'GET', `${path}?${parameters.join('&')}`);
  }

  user(id: string): string {
    return `/v1/users/${this.spelling.url(id)}`;
  }
}

/** Lives the life of a user, by every route. @returns the texts that the log should have, by their names there */
async function live({ id, ...strings }: Strings, speller: Speller): Promise<Record<string, string[]>> {
  const authenticator = new Authenticator();
  const { name, displayName, method, reference, passkey, renamed, reasons, party } = strings;
  const settings = { name: party, origins: [`https://${RP_ID}`] };
  expect(await speller.send('operator', 'PUT', PARTY, settings)).toMatchObject({ status: 200, body: { name: party } });
  const parties = await service.client.call<{ data: object[] }>('operator', 'GET', '/v1/relying-parties');
  expect(parties.body.data).toContainEqual(expect.objectContaining({ rpId: RP_ID, name: party }));
  requireStatus(
    await speller.send('auth-service', 'POST', '/v1/challenges/authentication', { rpId: RP_ID, userId: id }),
    201,
  );
  const unproven = { rpId: RP_ID, user: { id, name, displayName } };
  requireStatus(await speller.send('auth-service', 'POST', '/v1/challenges/registration', unproven), 422);

  const verifiedAt = service.clock.now().toISOString();
  const identityProof = { method, verifiedAt, reference };
  const asked = { rpId: RP_ID, user: { id, name, displayName }, identityProof };
  const { challengeId, publicKey } = requireStatus(
    await speller.send<RegistrationChallenge>('auth-service', 'POST', '/v1/challenges/registration', asked),
    201,
  );
  expect(publicKey.user).toMatchObject({ name, displayName });
  const response = authenticator.create(publicKey, `https://${RP_ID}`);
  const registered = await speller.send<Credential>('auth-service', 'POST', '/v1/credentials', {
    challengeId,
    response,
    name: passkey,
  });
  expect(registered).toMatchObject({ status: 201, body: { userId: id, name: passkey } });
  const { id: credential, credentialId } = registered.body;

  const path = `/v1/credentials/${credential}`;
  const listed = await speller.get<Page<Credential>>('auth-service', '/v1/credentials', { rpId: RP_ID, userId: id });
  expect(requireStatus(listed, 200).data).toEqual([registered.body]);
  expect(await speller.get('auth-service', `${speller.user(id)}/signals`, { rpId: RP_ID })).toMatchObject({
    status: 200,
    body: { allAcceptedCredentials: { allAcceptedCredentialIds: [credentialId] } },
  });
  const answer = await service.ceremonies(RP_ID).authenticate(authenticator, { challenge: { userId: id } });
  expect(requireStatus<Verification>(answer, 200)).toMatchObject({
    userId: id,
    credential: { userId: id, name: passkey },
  });

  const change = (verb: string, members: object, by = 'POST'): Promise<Answer> =>
    speller.send('auth-service', by, `${path}${verb}`, members);
  expect(await change('', { name: renamed }, 'PATCH')).toMatchObject({ status: 200, body: { name: renamed } });
  for (const [index, verb] of (['/suspend', '/reinstate', '/revoke'] as const).entries()) {
    const reason = reasons[index]!;
    expect(await change(verb, { reason })).toMatchObject({ status: 200, body: { statusReason: reason, userId: id } });
  }
  expect(await service.client.call('auth-service', 'GET', path)).toMatchObject({ body: { userId: id, name: renamed } });
  return { status_reason: [...reasons], method: [method], reference: [reference] };
}

/** Checks the user's events in the list, by its filters and one by one, each with the user's id as sent. */
async function review(id: string, speller: Speller, said: Record<string, string[]>): Promise<void> {
  const list = async (query: Record<string, string>): Promise<AuditEvent[]> =>
    requireStatus(await speller.get<Page<AuditEvent>>('auditor', '/v1/audit/events', { limit: '200', ...query }), 200)
      .data;
  const events = await list({ userId: id });
  expect(events.map(({ metadata }) => metadata.event_code).sort()).toEqual([
    ...['challenge.issue', 'credential.register', 'credential.reinstate'],
    ...['credential.rename', 'credential.revoke', 'credential.suspend', 'credential.verify'],
  ]);
  // The oldest event precedes the user's registration.
  for (const { user } of events.slice(0, -1)) if (user) expect(user.uid).toBe(id);
  expect(await list({ userId: id, type: 'credential.verify', outcome: 'success' })).toEqual(
    events
      .filter(({ metadata }) => metadata.event_code === 'credential.verify')
      .map((event) => expect.objectContaining({ time: event.time, user: event.user })),
  );
  for (const [member, sent] of Object.entries(said)) {
    const recorded = wordsOf(events, member);
    expect(recorded).toHaveLength(sent.length);
    expect(recorded).toEqual(
      expect.arrayContaining(sent.filter((text) => !text.includes(id) && !text.includes(encodeURIComponent(id)))),
    );
    if (id.length >= 4) expect(recorded.filter((text) => text.replaceAll('{user.uid}', '').includes(id))).toEqual([]);
  }
  const paths = events.map(({ metadata }) => `/v1/audit/events/${metadata.uid}`);
  const answers = await Promise.all(paths.map((path) => service.client.call<AuditEvent>('auditor', 'GET', path)));
  for (const [index, { status, body }] of answers.entries()) {
    expect([status, omitPlace(body)]).toEqual([200, omitPlace(events[index]!)]);
    shown.set(body.metadata.uid, body);
  }
}

/** Collects the texts that events have under this name. */
function wordsOf(events: readonly AuditEvent[], member: string): string[] {
  return events
    .map(({ unmapped }) => ({ ...unmapped, ...(unmapped?.['identity_proof'] as object | undefined) }))
    .flatMap((facts) => (typeof facts[member] === 'string' ? [facts[member]] : []));
}

/** Leaves out the sequence number, which an event gets a moment after it is written. */
const omitPlace = ({ metadata: { sequence: _, ...metadata }, ...event }: AuditEvent): object => ({
  ...event,
  metadata,
});

async function exported(): Promise<string> {
  const { app } = service.running;
  const [pending, keeper] = [
    app.get(PendingEventsRepository, { strict: false }),
    app.get(CheckpointScheduler, { strict: false }),
  ];
  while ((await pending.findOldest()) !== undefined) {
    service.clock.advance(1);
    await keeper.tick();
  }
  return requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/export'), 200);
}

async function liveAndErase(strings: Strings, spelling: Spelling): Promise<void> {
  fc.pre(!users.has(strings.id));
  users.add(strings.id);
  const speller = new Speller(spelling);
  try {
    const said = await live(strings, speller);
    await review(strings.id, speller, said);
    names.push(strings.party);
  } finally {
    const path = `${speller.user(strings.id)}?rpId=${RP_ID}`;
    expect((await service.client.send('operator', 'DELETE', path)).status).toBe(204);
  }
}

it.each(SPELLINGS)(
  'every text passes every route and comes back in every view of the log as it was sent, spelled $name',
  async (spelling) => {
    const property = fc.asyncProperty(STRINGS, (strings) => liveAndErase(strings, spelling));
    await fc.assert(property, { numRuns: RUNS, endOnFailure: true });
  },
);

describe('an export of events with such texts', () => {
  it('holds each event as the API shows it, except for the name of the user', async () => {
    const lines = (await exported())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { event?: AuditEvent });
    const events = new Map(lines.flatMap(({ event }) => (event ? [[event.metadata.uid, event]] : [])));
    expect(shown.size).toBeGreaterThanOrEqual(RUNS * SPELLINGS.length);
    for (const [uid, event] of shown) {
      const { uid: userId, uid_alt: name }: { uid?: string; uid_alt?: string } = event.user ?? {};
      const named = JSON.parse(JSON.stringify(omitPlace(event)), (member, value: unknown) => {
        if (member === 'uid_alt') return undefined;
        return value === userId && /^(user_)?uid$/.test(member) ? (name ?? value) : value;
      }) as object;
      if (event.user) expect(omitPlace(events.get(uid)!)).toEqual(named);
      expect(events.has(uid)).toBe(true);
    }
  });

  it('gives a report that shows each text and lets none do anything', async () => {
    const keys = parseVerifierKeys(
      requireStatus(await service.client.call<string>('auditor', 'GET', '/v1/audit/key'), 200),
    );
    const review = new Review({ from: 0, to: Infinity });
    const proved = await reviewExport(Readable.from([Buffer.from(await exported())]), review, keys);
    const report = buildReport(review, { file: 'export.ndjson', proved, modelName: () => undefined });
    const [text, page] = [renderText(report), renderHtml(report)];
    const unseen = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u; // eslint-disable-line no-control-regex
    for (const output of [text, page]) expect([unseen.exec(output), output.isWellFormed()]).toEqual([null, true]);
    expect(page).not.toMatch(/<script|<\/td>[^\n<]*<\/td>/);
    for (const name of names) {
      const visible = Array.from(name.slice(0, 100))
        .slice(0, -1)
        .join('')
        .replaceAll(new RegExp(unseen, 'gu'), () => '\ufffd');
      expect(text).toContain(`name ${visible}`);
      expect(page).toContain(`name ${visible.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign]!)}`);
    }
  });
});

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

describe('a value that is not text', () => {
  const asked = (member: string, json: string): [string, string, string, string] => {
    const user = {
      id: '"u-1"',
      name: '"n"',
      displayName: '"n"',
      ...(member in { id: 0, name: 0, displayName: 0 } && { [member]: json }),
    };
    const proof = {
      method: '"m"',
      verifiedAt: '"2026-01-01T00:00:00Z"',
      reference: '"r"',
      ...(member in { method: 0, reference: 0 } && { [member]: json }),
    };
    const written = (members: object): string =>
      `{${Object.entries(members)
        .map(([name, value]) => `"${name}":${String(value)}`)
        .join()}}`;
    return [
      'auth-service',
      'POST',
      '/v1/challenges/registration',
      written({ rpId: `"${RP_ID}"`, user: written(user), identityProof: written(proof) }),
    ];
  };
  const NOWHERE = '/v1/credentials/0195511f-03b2-7c11-8d0e-5b7a90a4c3d2';
  const REQUESTS: [string, (json: string) => [string, string, string, string]][] = [
    ...['id', 'name', 'displayName', 'method', 'reference'].map(
      (member): [string, (json: string) => [string, string, string, string]] => [member, (json) => asked(member, json)],
    ),
    [
      'the user of a sign-in',
      (json) => ['auth-service', 'POST', '/v1/challenges/authentication', `{"rpId":"${RP_ID}","userId":${json}}`],
    ],
    ['the name of a passkey', (json) => ['auth-service', 'PATCH', NOWHERE, `{"name":${json}}`]],
    ['a reason', (json) => ['auth-service', 'POST', `${NOWHERE}/suspend`, `{"reason":${json}}`]],
    [
      'the name of a relying party',
      (json) => ['operator', 'PUT', PARTY, `{"name":${json},"origins":["https://${RP_ID}"]}`],
    ],
  ];

  it.each(REQUESTS)('is refused and changes nothing: %s', async (what, request) => {
    const before = await service.digestTables();
    const mayBeEmpty = what === 'displayName';
    for (const [, json] of REFUSED_TEXTS.filter(([kind]) => !(mayBeEmpty && kind === 'nothing'))) {
      const [identity, method, path, body] = request(json);
      expect(await service.client.send(identity, method, path, { headers: JSON_TYPE, body })).toMatchObject(
        makeProblem(400, 'request-malformed', { invalid: expect.any(Array) }),
      );
    }
    expect(await service.digestTables()).toEqual(before);
  });
});
