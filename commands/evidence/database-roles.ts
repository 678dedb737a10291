import type { DataSource } from 'typeorm';
import { formatTable, type Part } from './part.js';

interface Role {
  readonly role: string;
  readonly canLogIn: boolean;
  /** Attributes that go beyond the privileges on tables, such as SUPERUSER. */
  readonly attributes: readonly string[];
  readonly memberOf: readonly string[];
  readonly connectionLimit: number;
  readonly isUsedNow: boolean;
}

interface Privilege {
  readonly table: string;
  readonly role: string;
  readonly isOwner: boolean;
  readonly privileges: readonly string[];
}

/** The roles that may connect to this database, by a login of their own or as members. */
const FIND_ROLES = `
  SELECT rolname AS role, rolcanlogin AS "canLogIn", rolconnlimit AS "connectionLimit", rolname = current_user AS "isUsedNow",
         array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
           CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
           CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL) AS attributes,
         ARRAY(SELECT granted.rolname::text FROM pg_auth_members JOIN pg_roles granted ON granted.oid = roleid
                WHERE member = pg_roles.oid ORDER BY 1) AS "memberOf"
    FROM pg_roles WHERE has_database_privilege(oid, current_database(), 'CONNECT') AND (rolcanlogin OR rolname !~ '^pg_')
   ORDER BY rolname`;

/** An entry without an ACL has the privileges of its owner alone. Privileges on columns are named with them. */
const FIND_PRIVILEGES = `
  WITH tables AS (SELECT oid, relname, relowner, coalesce(relacl, acldefault('r', relowner)) AS acl FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition),
  granted AS (
    SELECT relname, relowner, grantee, privilege_type AS privilege FROM tables, aclexplode(acl)
    UNION ALL
    SELECT relname, relowner, grantee, privilege_type || ' (' || string_agg(attname, ', ' ORDER BY attname) || ')'
      FROM tables JOIN pg_attribute ON attrelid = tables.oid, aclexplode(attacl)
     WHERE attnum > 0 AND NOT attisdropped GROUP BY relname, relowner, grantee, privilege_type)
  SELECT relname AS table, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END AS role,
         grantee = relowner AS "isOwner", array_agg(privilege ORDER BY privilege) AS privileges
    FROM granted GROUP BY relname, grantee, relowner ORDER BY relname, role`;

/** Tables of the audit log, whose rows nobody may change. */
const LOG_TABLE = /^audit_(?:event|leaf|node|checkpoint|archive)$/;
const CHANGES_ROWS = /^(?:UPDATE|DELETE|TRUNCATE|TRIGGER)/;

/** Says which accounts the database has, and what each may do with the tables (PCI DSS 4.0.1 7.2.5, 8.6.1, 10.3.2). */
export async function describeDatabaseRoles(dataSource: DataSource): Promise<Part> {
  const roles = await dataSource.query<Role[]>(FIND_ROLES);
  const privileges = await dataSource.query<Privilege[]>(FIND_PRIVILEGES);
  const holders = new Set(privileges.map(({ role }) => role));
  const shown = roles.filter(({ role, attributes }) => holders.has(role) || attributes.length > 0);
  return {
    file: 'database-roles.json',
    title: 'Database accounts and their privileges (7.2.5, 8.6.1, 10.3.2)',
    content: { roles, privileges },
    summary: [
      ...formatTable(
        [
          'account',
          'may log in',
          'attributes',
          'member of',
          'tables that it owns',
          'tables on which it has privileges',
        ],
        shown.map(({ role, canLogIn, attributes, memberOf }) => [
          role,
          canLogIn ? 'yes' : 'no',
          attributes.join(', '),
          memberOf.join(', '),
          String(privileges.filter((each) => each.role === role && each.isOwner).length),
          String(privileges.filter((each) => each.role === role && !each.isOwner).length),
        ]),
      ),
      '',
      'Privileges on the tables of the audit log, apart from their owner:',
      '',
      ...formatTable(
        ['table', 'account', 'privileges'],
        privileges
          .filter(({ table, isOwner }) => LOG_TABLE.test(table) && !isOwner)
          .map(({ table, role, privileges: granted }) => [table, role, granted.join(', ')]),
      ),
    ],
    open: [
      ...privileges
        .filter(({ role }) => role === 'PUBLIC')
        .map(
          ({ table, privileges: granted }) =>
            `Every account of the database has ${granted.join(', ')} on ${table} (7.2.1).`,
        ),
      ...privileges
        .filter(
          ({ table, isOwner, privileges: granted }) => LOG_TABLE.test(table) && !isOwner && granted.some(isChange),
        )
        .map(
          ({ table, role, privileges: granted }) =>
            `${role} has ${granted.filter(isChange).join(', ')} on ${table}, a table of the audit log (10.3.2).`,
        ),
      ...roles
        .filter(({ canLogIn, attributes }) => canLogIn && attributes.includes('SUPERUSER'))
        .map(
          ({ role }) =>
            `${role} may do everything in the database: say who uses it, and how that is seen (7.2.5, 8.6.1).`,
        ),
    ],
    faults: [],
  };
}

const isChange = (privilege: string): boolean => CHANGES_ROWS.test(privilege);
