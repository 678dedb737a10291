import { hash } from 'node:crypto';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { createAuditRow, withMac } from '../../src/audit/audit-event.repository.js';
import { describeEvent } from '../../src/audit/event-macs.js';
import type { SecretKeys } from '../../src/config/secret-keys.js';
import { makeUuidv7 } from '../../src/config/random.js';
import { ACCEPT_AUTHENTICATION, type AcceptAuthenticationInput } from '../../src/credentials/answer.repository.js';
import { CredentialEntity } from '../../src/credentials/credential.entity.js';
import type { Queryable } from '../../src/database/named-statement.js';
import { computeSeal } from '../../src/seals/seal.js';
import { makeAuthorizedContext } from './callers.js';
import { makeCredentialRow } from './credential-rows.js';

/** The parts of a service on a database of its own, on a server that does nothing else. */
export interface ByteMeter {
  /** A session of the owner of the tables. */
  readonly owner: pg.Client;
  readonly dataSource: DataSource;
  /** Runs the statements of the ceremonies. */
  readonly through: Queryable;
  /** The first one makes the MACs of events, and the sequencer knows it. */
  readonly keys: Pick<SecretKeys, 'seals'>;
  /** Lets the sequencer give the pending events their places. */
  readonly sequence: () => Promise<unknown>;
}

/** Bytes for an authentication. */
export interface AuthenticationBytes {
  /** By table and index. Partitions count with their table. */
  readonly disk: Readonly<Record<string, number>>;
  readonly wal: Readonly<Record<'outcome' | 'sequencer' | 'vacuum', number>>;
}

/** Rows of a statement and events of a turn, as under load. */
const ROWS = 8;
const PORTION = 256;
/** Autovacuum of `audit_pending` begins after so many deleted rows. */
const VACUUM_AFTER = 5_120;
/** Users come in this order, which is not that of their rows. */
const STRIDE = 7_919;
const RP_ID = 'login.bank.example';

/**
 * Accepts authentications of a quarter as many users in turn, and counts the bytes that they leave on the disk and write
 * to the WAL. The figures depend on no clock and on no other work of the machine. No checkpoint comes in between, so no
 * page is written whole to the WAL.
 *
 * @param count a multiple of 1,024
 */
export async function measureAuthentications(meter: ByteMeter, count: number): Promise<AuthenticationBytes> {
  const { owner, dataSource, through, keys, sequence } = meter;
  const now = Date.now();
  await owner.query('SELECT spent_challenge_make_periods($1)', [new Date(now)]);
  const credentials: CredentialEntity[] = [];
  while (credentials.length < count / 4) credentials.push(...(await register(dataSource, credentials.length)));
  await sequence();
  await owner.query('VACUUM ANALYZE');
  const wal = { outcome: 0, sequencer: 0, vacuum: 0 };
  const before = await readSizes(owner);
  let position = await readWal(owner);
  const add = async (part: keyof typeof wal): Promise<void> => {
    const end = await readWal(owner);
    wal[part] += (end - position) / count;
    position = end;
  };
  for (let from = 0; from < count; from += ROWS) {
    const turn = Array.from({ length: ROWS }, (_, n) => from + n);
    const rows = turn.map((n) => accept(credentials[(n * STRIDE) % credentials.length]!, now + n, keys));
    await ACCEPT_AUTHENTICATION.run(through, rows);
    if ((from + ROWS) % PORTION !== 0) continue;
    await add('outcome');
    await sequence();
    await add('sequencer');
    if ((from + ROWS) % VACUUM_AFTER !== 0) continue;
    await owner.query('VACUUM audit_pending');
    await add('vacuum');
  }
  await owner.query('VACUUM');
  await add('vacuum');
  const after = await readSizes(owner);
  const grown = Object.entries(after).map(([name, size]) => [name, (size - (before[name] ?? 0)) / count] as const);
  return { disk: Object.fromEntries(grown.filter(([, bytes]) => bytes > 0)), wal };
}

async function register(dataSource: DataSource, from: number): Promise<CredentialEntity[]> {
  const rows = Array.from({ length: PORTION }, (_, n) =>
    makeCredentialRow({ rpId: RP_ID, userId: `user-${String(from + n)}`, backedUp: true }),
  );
  await dataSource.manager.insert(CredentialEntity, rows);
  return rows;
}

/** Makes the input of an accepted authentication, with everything that its event may have. */
function accept(
  credential: CredentialEntity,
  time: number,
  { seals }: Pick<SecretKeys, 'seals'>,
): AcceptAuthenticationInput {
  const [now, issuedAt] = [new Date(time), new Date(time - 4_000)];
  const challengeId = makeUuidv7(issuedAt);
  const digest = (text: string): string => hash('sha256', text, 'hex');
  const context = {
    ...makeAuthorizedContext({ fingerprint: digest('certificate') }),
    requestId: makeUuidv7(now),
    decision: {
      outcome: 'allowed',
      permission: 'passkeys:authenticate',
      policyDigest: digest('access policy'),
      epoch: 3,
    } as const,
  };
  const { rpId, id, userId, credentialId, bindingMac, backupEligible } = credential;
  const unsealed = createAuditRow(
    {
      type: 'credential.verify',
      outcome: 'success',
      rpId,
      userId,
      userVerified: true,
      credential: { id, credentialId: credentialId.toString('base64url') },
      facts: {
        challenge_id: challengeId,
        challenge_issued_at: issuedAt.toISOString(),
        sign_count: 0,
        backed_up: true,
        risks: [],
      },
    },
    context,
    now,
    toUuid(digest(`pseudonym of ${userId}`)),
  );
  const event = withMac(unsealed, (uid, leafHash) => computeSeal(seals[0], describeEvent(uid, leafHash)));
  const unchanged = {
    signCount: 0,
    backedUp: true,
    backupEligible: backupEligible === true,
    version: credential.version,
    bindingMac,
    lastSignInAt: null,
    userHandle: null,
    flag: false,
  };
  return { challengeId, credential, now, event, ...unchanged };
}

/** Formats hexadecimal digits as a random UUID (RFC 9562 §5.4). */
function toUuid(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}

async function readWal(owner: pg.Client): Promise<number> {
  const { rows } = await owner.query<{ at: string }>(`SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn AS at`);
  return Number(rows[0]!.at);
}

async function readSizes(owner: pg.Client): Promise<Record<string, number>> {
  const { rows } = await owner.query<{ name: string; size: string }>(
    `SELECT coalesce(inhparent, c.oid)::regclass::text AS name, sum(pg_table_size(c.oid)) AS size
       FROM pg_class c LEFT JOIN pg_inherits ON inhrelid = c.oid
      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i') GROUP BY 1`,
  );
  return Object.fromEntries(rows.map(({ name, size }) => [name, Number(size)]));
}

export function sumBytes(parts: Readonly<Record<string, number>>): number {
  return Object.values(parts).reduce((sum, bytes) => sum + bytes, 0);
}
