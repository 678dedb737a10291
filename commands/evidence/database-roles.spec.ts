import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { RoleSessions } from '../../test/support/role-sessions.js';
import { readTestRoles } from '../../test/support/test-roles.js';
import { openToRead } from '../database-login.js';
import { describeDatabaseRoles } from './database-roles.js';
import type { Part } from './part.js';

let roles: RoleSessions;
let dataSource: DataSource;
const undo: string[] = [];

beforeAll(async () => {
  roles = await RoleSessions.open();
  dataSource = await openToRead({ url: roles.database.auditorUrl, passwordFile: undefined }, []);
});
afterAll(async () => {
  await dataSource.destroy();
  await roles.close();
});
afterEach(async () => {
  for (const sql of undo.splice(0)) await roles.query('owner', sql);
});

const service = (): string => readTestRoles().named('passkey_manager');

async function grant(privilege: string, table: string, role: string): Promise<void> {
  await roles.query('owner', `GRANT ${privilege} ON ${table} TO ${role}`);
  undo.push(`REVOKE ${privilege} ON ${table} FROM ${role}`);
}

/** What the evidence asks about roles of this run. The server may have a superuser of its own. */
async function listQuestions(): Promise<string[]> {
  const { open } = await describeDatabaseRoles(dataSource);
  return open.filter((question) => !question.includes('may do everything'));
}

interface Content {
  readonly roles: readonly { readonly role: string; readonly canLogIn: boolean; readonly isUsedNow: boolean }[];
  readonly privileges: readonly {
    readonly table: string;
    readonly role: string;
    readonly privileges: readonly string[];
  }[];
}

describe('the accounts of the database', () => {
  it('are those of deploy/postgres with their privileges, as the auditor’s role sees them', async () => {
    const { content } = (await describeDatabaseRoles(dataSource)) as Part & { content: Content };
    const auditor = readTestRoles().named('passkey_auditor');
    expect(content.roles.filter(({ isUsedNow }) => isUsedNow)).toMatchObject([
      { role: auditor, canLogIn: true, attributes: [], memberOf: [], connectionLimit: 4 },
    ]);
    expect(content.privileges.filter(({ role }) => role === auditor).map(({ table }) => table)).toEqual([
      ...['audit_archive', 'audit_checkpoint', 'audit_event', 'audit_leaf', 'audit_node'],
    ]);
    expect(content.privileges).toContainEqual({
      table: 'audit_event',
      role: service(),
      isOwner: false,
      privileges: ['INSERT', 'SELECT'],
    });
    expect(content.privileges).toContainEqual(
      expect.objectContaining({
        table: 'challenge',
        role: service(),
        privileges: expect.arrayContaining(['UPDATE (id)']),
      }),
    );
  });

  it('raise no question as grants.sql makes them', async () => {
    expect(await listQuestions()).toEqual([]);
  });

  it.each([
    ['UPDATE', 'audit_event', 'UPDATE on audit_event'],
    ['UPDATE (event)', 'audit_event', 'UPDATE (event) on audit_event'],
    ['DELETE', 'audit_leaf', 'DELETE on audit_leaf'],
    ['TRUNCATE', 'audit_checkpoint', 'TRUNCATE on audit_checkpoint'],
  ])('raise one if the service has %s on %s', async (privilege, table, named) => {
    await grant(privilege, table, service());
    expect(await listQuestions()).toEqual([`${service()} has ${named}, a table of the audit log (10.3.2).`]);
  });

  it('raise one if every account may read a table', async () => {
    await grant('SELECT', 'credential', 'PUBLIC');
    expect(await listQuestions()).toEqual(['Every account of the database has SELECT on credential (7.2.1).']);
  });

  it('raise one for each superuser who may log in', async () => {
    const { open } = await describeDatabaseRoles(dataSource);
    const superusers = await roles.names(
      'SELECT rolname AS name FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY 1',
    );
    expect(open.filter((question) => question.includes('may do everything'))).toHaveLength(superusers.length);
  });
});
