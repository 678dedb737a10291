import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { runRoleScript } from '../src/database/role-scripts.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { createTestDatabase, type TestDatabase } from './support/database.js';
import { TestService } from './support/service.js';
import { readTestRoles } from './support/test-roles.js';

const { named } = readTestRoles();

let database: TestDatabase;
let service: TestService;
beforeAll(async () => {
  database = await createTestDatabase();
  await runRoleScript('sequencer.sql', database.migratorUrl, named);
  service = await TestService.start({
    databaseUrl: () => Promise.resolve(database.url),
    env: { PASSKEY_AUDIT_DATABASE_URL: database.sequencerUrl },
  });
});
afterAll(async () => {
  await service.stop();
  await database.drop();
});

const of = <T>(type: abstract new (...args: never[]) => T): T => service.running.app.get(type, { strict: false });

describe('a service whose log has a writer of its own', () => {
  it('registers, signs in, and gives every event its place', async () => {
    const party = await service.relyingParty('login.example.com');
    const authenticator = new Authenticator();
    await party.registered('ada', authenticator);
    await party.authenticated(authenticator);
    while ((await of(PendingEventsRepository).findOldest()) !== undefined) {
      service.clock.advance(1);
      await of(CheckpointScheduler).tick();
    }
    const { size, failures } = of(CheckpointScheduler).getState();
    expect(size).toBeGreaterThan(3);
    expect(failures).toEqual([]);
  });
});

describe('a service whose log has a writer of its own, but not its login', () => {
  it('says in readiness which setting is missing', async () => {
    const without = await TestService.start();
    await runRoleScript('sequencer.sql', without.database.migratorUrl, named);
    await (await without.relyingParty('login.example.com')).requestRegistration('ada');
    const scheduler = without.running.app.get(CheckpointScheduler, { strict: false });
    await scheduler.tick();
    const { cause, failures } = scheduler.getState();
    await without.stop();
    expect(failures).toEqual(['sequencer-failed']);
    expect(cause?.error).toMatch(
      /^permission denied for table audit_\w+: set PASSKEY_AUDIT_DATABASE_URL if sequencer.sql has run, or run grants.sql$/,
    );
  });
});

describe('a start', () => {
  it('ends with a sentence when the writer of the log cannot log in, which quotes no password', async () => {
    const url = Object.assign(new URL(database.sequencerUrl), { password: 'wrong-s3cret' }).href;
    const start = TestService.start({ env: { PASSKEY_AUDIT_DATABASE_URL: url } });
    await expect(start).rejects.toThrow(
      /PASSKEY_AUDIT_DATABASE_URL names a database that cannot be used: (?!.*s3cret)/,
    );
  });
});
