import type pg from 'pg';
import type { Credential } from '../../test/support/bodies.js';
import type { Change, Life } from './ledger.js';

/** A credential's row, and its events in the order of the log. */
interface Told {
  readonly id: string;
  readonly row: { name: string; status: Credential['status']; sign_count: number; last_used: number | null } | null;
  readonly events: readonly {
    id: string;
    type: string;
    time: number;
    sign_count: number | null;
    leaf: number | null;
  }[];
}

const TOLD = `
  SELECT coalesce(credential.id, events.id)::text AS id,
         CASE WHEN credential.id IS NOT NULL THEN json_build_object('name', name, 'status', status, 'sign_count', sign_count,
           'last_used', (extract(epoch FROM last_used_at) * 1000)::bigint) END AS row,
         coalesce(events.told, '[]') AS events
    FROM credential
    FULL JOIN (
      SELECT credential_uid AS id,
             json_agg(json_build_object('id', audit_event.id, 'type', type, 'time', event::json -> 'time', 'leaf', leaf_index,
               'sign_count', event::json -> 'unmapped' -> 'sign_count') ORDER BY leaf_index) AS told
        FROM audit_event LEFT JOIN audit_leaf ON event_id = audit_event.id
       WHERE credential_uid IS NOT NULL AND outcome = 'success' GROUP BY credential_uid
    ) AS events ON events.id = credential.id`;

const STATUS: Readonly<Record<string, Credential['status']>> = {
  'credential.register': 'active',
  'credential.suspend': 'suspended',
  'credential.reinstate': 'active',
  'credential.revoke': 'revoked',
};

/**
 * Compares every row with its events, and every acknowledged change with both.
 *
 * @returns the contradictions
 */
export async function reconcile(database: pg.Pool, lives: readonly Life[]): Promise<string[]> {
  const { rows } = await database.query<Told>(TOLD);
  const told = new Map(rows.map((row) => [row.id, row]));
  const faults = rows.flatMap((row) => unexplained(row).map((fault) => `${row.id}: ${fault}`));
  for (const life of lives) {
    const found = told.get(life.id);
    faults.push(
      ...(found ? forgotten(life, found) : ['acknowledged, but gone']).map((fault) => `${life.id}: ${fault}`),
    );
  }
  return faults;
}

/** Finds changes without their event and events without their change: the row must follow from the events. */
function unexplained({ row, events }: Told): string[] {
  if (!row) return [`events without a credential: ${events.map(({ type }) => type).join()}`];
  const of = (type: string): Told['events'] => events.filter((event) => event.type === `credential.${type}`);
  const verified = of('verify').at(-1);
  const renames = of('rename').length;
  const last = events.findLast(({ type }) => type in STATUS);
  const expected = {
    registrations: 1,
    withoutLeaf: 0,
    status: last && STATUS[last.type],
    ...(renames > 0 ? { name: `name-${String(renames)}` } : {}),
    last_used: verified?.time ?? null,
    ...(verified ? { sign_count: verified.sign_count } : {}),
  };
  const withoutLeaf = events.filter(({ leaf }) => leaf === null).length;
  const actual: Record<string, unknown> = { ...row, registrations: of('register').length, withoutLeaf };
  return Object.entries(expected).flatMap(([name, value]) =>
    actual[name] === value ? [] : [`${name} is ${String(actual[name])}, but its events give ${String(value)}`],
  );
}

/** Finds acknowledged changes that are missing, and changes that nobody requested. */
function forgotten({ acknowledged, verified, status, uncertain }: Life, { row, events }: Told): string[] {
  const faults: string[] = [];
  const count = (type: string): number => events.filter((event) => event.type === `credential.${type}`).length;
  const compare = (type: Change | 'verify', asked: number): void => {
    const [found, most] = [count(type), asked + (uncertain === type ? 1 : 0)];
    if (found < asked || found > most)
      faults.push(`${String(asked)} acknowledged ${type}, but ${String(found)} events`);
  };
  for (const change of ['rename', 'suspend', 'reinstate', 'revoke'] as const) compare(change, acknowledged[change]);
  compare('verify', verified.length);
  const ids = new Set(events.map(({ id }) => id));
  faults.push(...verified.filter((id) => !ids.has(id)).map((id) => `the authentication ${id} has no event`));
  if (uncertain === undefined && row?.status !== status)
    faults.push(`status ${String(row?.status)}, but acknowledged as ${status}`);
  return faults;
}
