import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'node:tls';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { AuditEventType } from '../src/audit/audit-entry.js';
import { AuditLog } from './support/audit-log.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { AuditEvent } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import { Client, type ClientCertificate } from './support/client.js';
import { findViolations } from './support/ocsf/violations.js';
import { issueByStranger } from './support/pki.js';
import { Receiver } from './support/receiver.js';
import { toSpiffeId, TestService } from './support/service.js';

/** The types of event that this spec causes. `ocsf-schema.spec.ts` checks the record of every type. */
const CAUSED: readonly AuditEventType[] = [
  ...(['challenge.issue', 'credential.register', 'credential.verify', 'credential.rename'] as const),
  ...(['credential.suspend', 'credential.reinstate', 'credential.revoke', 'credential.tampered'] as const),
  ...(['credential.export', 'user.revoke', 'user.erase', 'relying-party.create', 'relying-party.update'] as const),
  ...(['signal-stream.create', 'signal-stream.update', 'signal-stream.subject', 'signal-stream.delete'] as const),
  ...(['access.denied', 'handshake.refused', 'audit.read', 'service.start'] as const),
];

let service: TestService;
let events: AuditEvent[];

beforeAll(async () => {
  service = await TestService.start();
  await causeChanges();
  await causeRefusals();
  events = await readAllEvents(new AuditLog(service.client));
});
afterAll(() => service.stop());

/** Takes a passkey from its challenge to its erasure. */
async function causeChanges(): Promise<void> {
  await service.relyingParty('login.example.com');
  const receiver = await Receiver.create(service.client, 'auth-service');
  await receiver.manage('POST', 'status', { status: 'paused', reason: 'maintenance' });
  const subject = { format: 'iss_sub', iss: 'https://login.example.com', sub: 'u-1' };
  await receiver.manage('POST', 'subjects/remove', { subject });
  await receiver.delete();
  const login = await service.relyingParty('login.example.com', {}, { name: 'Renamed' });
  const authenticator = new Authenticator();
  const { id } = await login.registered('u-1', authenticator);
  await login.authenticated(authenticator, { challenge: { userId: 'u-1' } });
  await login.authenticated(authenticator);
  const change = (method: string, path: string, body: unknown): Promise<unknown> =>
    service.client.call('auth-service', method, `/v1/credentials/${id}${path}`, body);
  await change('PATCH', '', { name: 'Blue key' });
  await change('POST', '/suspend', { reason: 'lost' });
  await login.authenticate(authenticator);
  await change('POST', '/reinstate', { reason: 'found' });
  await change('POST', '/revoke', { reason: 'stolen' });
  const revocation = '/v1/users/u-1/revoke?rpId=login.example.com';
  await service.client.call('auth-service', 'POST', revocation, { reason: 'lost' });
  await service.client.call('operator', 'GET', '/v1/credentials/export?rpId=login.example.com');
  await service.client.call('operator', 'DELETE', '/v1/users/u-1?rpId=login.example.com');
}

async function causeRefusals(): Promise<void> {
  const login = service.ceremonies('login.example.com');
  const authenticator = new Authenticator();
  await login.requestRegistration('u-2', { identityProof: undefined });
  await login.register('u-2', authenticator, { interference: { clientData: { origin: 'https://evil.example' } } });
  const { id } = await login.registered('u-2', authenticator);
  await login.authenticate(authenticator, { interference: { flags: { UV: false } } });
  await login.authenticate(new Authenticator(), { interference: { passkey: authenticator.newest, signCount: 0 } });
  await service.sql('UPDATE credential SET backup_eligible = NOT backup_eligible WHERE id = $1', [id]);
  await login.authenticate(authenticator);
  await service.client.call('stranger', 'GET', '/v1/credentials');
  await service.client.call('auditor', 'GET', '/v1/audit/events/0195511f-03b2-7c11-8d0e-5b7a90a4c3d2');
  await callAs(await service.pki.issue({ uris: [toSpiffeId('auth-service'), toSpiffeId('operator')] }));
  await knockAs(await issueByStranger());
}

async function callAs(certificate: ClientCertificate): Promise<void> {
  const client = new Client(service.running.httpsUrl, service.pki.ca, () => certificate);
  await client.call('odd', 'GET', '/v1/credentials');
  client.close();
}

/** In TLS 1.3, a client learns only by reading that its certificate is refused. The service records it afterwards. */
async function knockAs(certificate: ClientCertificate): Promise<void> {
  const { hostname, port } = new URL(service.running.httpsUrl);
  await new Promise((closed) => {
    const socket = connect({ host: hostname, port: Number(port), ca: service.pki.ca, ...certificate });
    socket.on('error', () => undefined);
    socket.on('data', () => undefined);
    socket.on('close', closed);
  });
  const log = new AuditLog(service.client);
  while ((await log.events({ type: 'handshake.refused' })).length === 0) await sleep(20);
}

async function readAllEvents(log: AuditLog, cursor = ''): Promise<AuditEvent[]> {
  const { data, nextCursor } = requireStatus(await log.readPage({ limit: 200, ...(cursor && { cursor }) }), 200);
  return nextCursor === null ? data : [...data, ...(await readAllEvents(log, nextCursor))];
}

it('each of these changes and refusals leaves its event', () => {
  const seen = new Set(events.map(({ metadata }) => metadata.event_code));
  expect(CAUSED.filter((type) => !seen.has(type))).toEqual([]);
});

it('every event that an auditor reads conforms to OCSF 1.8', () => {
  const violations = events.flatMap((event) =>
    findViolations(event).map((violation) => `${event.metadata.event_code ?? ''} ${violation}`),
  );
  expect(violations).toEqual([]);
});
