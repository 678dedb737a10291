import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { UserSeals } from '../src/audit/user-seals.js';
import { UserHandleEntity } from '../src/challenges/user-handle.entity.js';
import { CredentialBindings } from '../src/credentials/credential-bindings.js';
import { CredentialEntity } from '../src/credentials/credential.entity.js';
import { AuditLog } from './support/audit-log.js';
import type { AuditEvent } from './support/bodies.js';
import { makeCredentialRow } from './support/credential-rows.js';
import { RawConnection, RawConnections } from './support/raw-connection.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const RP_ID = 'large.example.com';
const REQUEST = `GET /v1/credentials/export?rpId=${RP_ID} HTTP/1.1\r\nHost: localhost\r\n\r\n`;

let service: TestService;
let connections: RawConnections;

const PASSKEYS = 6_000;

/** More than 12 MB, which exceed the buffers of two sockets. */
beforeAll(async () => {
  service = await TestService.start();
  connections = new RawConnections(service);
  await service.relyingParty(RP_ID);
  await service.relyingParty('small.example.com');
  const { app } = service.running;
  const [rows, bindings, users] = [app.get(DataSource), app.get(CredentialBindings), app.get(UserSeals)];
  const user = { rpId: RP_ID, userId: 'ada', handle: randomBytes(64), auditUid: randomUUID() };
  await rows.getRepository(UserHandleEntity).insert({ ...user, seal: users.seal(user), createdAt: new Date() });
  const transports = Array.from({ length: 16 }, (_, n) => String(n).padStart(32, 'x'));
  for (let made = 0; made < PASSKEYS; made += 500) {
    const credentials = Array.from({ length: 500 }, () =>
      bindings.seal(
        makeCredentialRow({
          rpId: RP_ID,
          userId: 'ada',
          credentialId: randomBytes(1_023),
          transports,
          createdAt: new Date(),
        }),
      ),
    );
    await rows.getRepository(CredentialEntity).insert(credentials);
  }
}, 60_000);
afterEach(() => {
  connections.close();
});
afterAll(() => service.stop());

/** Begins an export and then stops reading. */
async function beginUnread(): Promise<RawConnection> {
  const connection = await connections.connect('operator');
  connection.socket.write(REQUEST);
  await until(() => connection.received.includes('"kind":"header"'));
  connection.socket.pause();
  return connection;
}

/** The events of the exports, the newest first. */
const listEvents = (): Promise<AuditEvent[]> => new AuditLog(service.client).events({ type: 'credential.export' });

/** The id that the first line of an export names. */
const readId = ({ received }: RawConnection): string => /"exportId":"([^"]+)"/.exec(received)![1]!;

/** The event that says that an export broke off; undefined: it has not. */
const findBreak = async (connection: RawConnection): Promise<AuditEvent | undefined> =>
  (await listEvents()).find(
    ({ unmapped }) => unmapped?.['state'] === 'broken-off' && unmapped['export'] === readId(connection),
  );

async function waitForBreak(connection: RawConnection): Promise<AuditEvent> {
  await until(async () => (await findBreak(connection)) !== undefined);
  return (await findBreak(connection))!;
}

describe('an export that does not reach its end', () => {
  it('is recorded as broken off when its caller goes away, and has no last line', async () => {
    const connection = await beginUnread();
    const begun = (await listEvents()).find(({ metadata }) => metadata.uid === readId(connection));
    expect(begun).toMatchObject({ status_id: 1, unmapped: { state: 'begun' } });
    connection.reset();
    const broken = await waitForBreak(connection);
    expect(broken).toMatchObject({ status_id: 2, unmapped: { export: begun!.metadata.uid, rp_id: RP_ID } });
    expect(broken.unmapped!['credentials']).toBeLessThan(PASSKEYS);
    expect(connection.received).not.toContain('"kind":"end"');
  });

  it.each([
    ['the permission', (policy: string) => policy.replace(', passkeys:export', '')],
    [
      'the relying party',
      (policy: string) => policy.replace(/.*passkeys:export.*/, '$&\n    relyingParties: [small.example.com]'),
    ],
  ])('ends when its caller loses %s', async (_, change) => {
    const file = join(service.dataDir, 'access-policy.yaml');
    const policy = await readFile(file, 'utf8');
    expect(change(policy)).not.toBe(policy);
    const connection = await beginUnread();
    try {
      await writeFile(file, change(policy));
      expect(await waitForBreak(connection)).toMatchObject({ status_id: 2, status_code: 'permission-denied' });
      connection.socket.resume();
      await connection.closed;
      expect(connection.received).not.toContain('"kind":"end"');
    } finally {
      await writeFile(file, policy);
      const mayAgain = async (): Promise<boolean> =>
        (await service.client.call('operator', 'GET', '/v1/credentials/export?rpId=none.example.com')).status === 404;
      await until(mayAgain);
    }
  });

  it('holds no transaction and no snapshot while its caller does not read', async () => {
    const connection = await beginUnread();
    await until(async () => {
      const [row] = await service.sql<{ held: number }>(
        `SELECT count(*)::integer AS held FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR state LIKE 'idle in transaction%')`,
      );
      return row!.held === 0;
    });
    const states = (await listEvents()).filter(({ unmapped }) => unmapped?.['export'] === readId(connection));
    expect(states).toEqual([]);
  });

  it('ends when the service stops, and that is recorded', async () => {
    const replica = await service.startReplica();
    const { pki, certificateOf } = service;
    const connection = await RawConnection.to({ running: replica.running, pki, certificateOf }, 'operator');
    connection.socket.write(REQUEST);
    await until(() => connection.received.includes('"kind":"header"'));
    connection.socket.pause();
    await replica.stop();
    expect(await waitForBreak(connection)).toMatchObject({ status_id: 2, status_code: 'unavailable' });
    connection.socket.destroy();
  });

  it('is cut off when its caller does not read for 30 seconds', async () => {
    service.clock.freeze();
    try {
      const connection = await beginUnread();
      // The first rounds only fill the buffers.
      await until(async () => {
        await sleep(1_200);
        service.clock.advance(11);
        return (await findBreak(connection)) !== undefined;
      });
      expect(connection.received).not.toContain('"kind":"end"');
    } finally {
      service.clock.reset();
    }
  });
});
