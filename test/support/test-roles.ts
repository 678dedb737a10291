import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { runRoleScript } from '../../src/database/role-scripts.js';

/** The roles in deploy/postgres/roles.sql. */
export const ROLES = ['passkey_migrator', 'passkey_manager', 'passkey_auditor', 'passkey_sequencer'] as const;
export type Role = (typeof ROLES)[number];

/** The roles of one test run. All databases of a server share its roles, so each run makes its own. */
export interface TestRoles {
  /** Replaces the real names of the roles in SQL by those of this run. */
  readonly named: (sql: string) => string;
  urlAs(role: Role, databaseUrl: string): string;
}

const makeRoles = (run: string, password: string): TestRoles => {
  const named = (sql: string): string =>
    sql.replaceAll(new RegExp(ROLES.join('|'), 'g'), (role) => nameInRun(run, role));
  const urlAs = (role: Role, url: string): string =>
    Object.assign(new URL(url), { username: named(role), password }).href;
  return { named, urlAs };
};

const nameInRun = (run: string, role: string): string => role.replace('passkey', run);

/** Returns the roles of this run, in any of its workers. */
export function readTestRoles(): TestRoles {
  const [run, password] = process.env['PASSKEY_TEST_ROLES']?.split(' ') ?? [];
  if (!run || !password) throw new Error('There are no test roles: global-setup.ts did not run');
  return makeRoles(run, password);
}

/** @param databaseUrl a database of the run, with a user that may make roles */
export async function createTestRoles(session: pg.Client, run: string, databaseUrl: string): Promise<TestRoles> {
  const password = randomBytes(24).toString('base64url');
  const roles = makeRoles(run, password);
  await runRoleScript('roles.sql', databaseUrl, roles.named);
  for (const role of ROLES) await session.query(roles.named(`ALTER ROLE ${role} PASSWORD '${password}'`));
  // A user that is not a superuser may then end their sessions, which it must do to drop a database.
  await session.query(roles.named(`GRANT ${ROLES.join()} TO CURRENT_USER`));
  process.env['PASSKEY_TEST_ROLES'] = `${run} ${password}`;
  return roles;
}
