import { join } from 'node:path';
import type pg from 'pg';
import type { Config } from '../../src/config/config.js';
import { describeUser } from '../../src/audit/sealed-user.js';
import { readSecretKeys, type SealKey } from '../../src/config/secret-keys.js';
import { describeRow } from '../../src/credentials/credential-bindings.js';
import { computeSeal } from '../../src/seals/seal.js';
import { type Member, compileMember, type Population } from './population.js';

const CHUNK = 5_000;
const AAGUID = '00000000-0000-0000-0000-000000000000';
const CREATED_BY = 'spiffe://passkey-manager.local/auth-service';

/** The columns of a chunk that differ between rows, in the order of the statement's parameters. */
interface Columns {
  readonly rpId: string[];
  readonly id: string[];
  readonly userId: string[];
  readonly credentialId: Buffer[];
  readonly publicKey: Buffer[];
  readonly status: string[];
  readonly createdAt: number[];
  readonly bindingMac: Buffer[];
  readonly handle: Buffer[];
  readonly auditUid: string[];
  readonly userSeal: Buffer[];
}

const INSERT = `
  WITH member AS (
    SELECT *, to_timestamp(created / 1000.0) AS created_at
      FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::bytea[], $6::text[], $7::bigint[], $8::bytea[],
                  $9::bytea[], $10::uuid[], $11::bytea[])
        AS m (rp_id, id, user_id, credential_id, public_key, status, created, binding_mac, handle, audit_uid, user_seal)),
   handles AS (
    INSERT INTO user_handle (rp_id, user_id, handle, audit_uid, created_at, seal)
    SELECT rp_id, user_id, handle, audit_uid, created_at, user_seal FROM member)
  INSERT INTO credential (rp_id, id, user_id, credential_id, public_key, algorithm, aaguid, name, status,
    status_changed_at, attachment, transports, discoverable, backup_eligible, backed_up, user_verified,
    attestation_format, attestation_trust, sign_count, created_at, created_by, last_used_at, version, binding_mac)
  SELECT rp_id, id, user_id, credential_id, public_key, -7, '${AAGUID}', 'Passkey', status,
    created_at, 'platform', '{internal,hybrid}', TRUE, TRUE, TRUE, TRUE,
    'none', 'none', 0, created_at, '${CREATED_BY}', created_at, 1, binding_mac
  FROM member`;

/** Loads a user, a handle and a credential for each member, sealed by the service's own function with its key. */
export async function loadCredentials(
  session: pg.Client,
  population: Population,
  directory: string,
  progress: (done: number) => void,
): Promise<void> {
  const [key] = readSecretKeys({ bindingKeyFile: join(directory, 'binding.key') } as Config).seals;
  const publicKeys = population.keys.map(({ cose }) => Buffer.from(cose, 'base64'));
  let writing: Promise<unknown> = Promise.resolve();
  for (let from = 0; from < population.size; from += CHUNK) {
    const to = Math.min(from + CHUNK, population.size);
    const columns = columnsOf(from, to, population, publicKeys, key);
    await writing;
    progress(from);
    writing = session.query(INSERT, Object.values(columns));
    writing.catch(() => undefined);
  }
  await writing;
}

function columnsOf(from: number, to: number, population: Population, publicKeys: Buffer[], key: SealKey): Columns {
  const columns: Columns = {
    rpId: [],
    id: [],
    userId: [],
    credentialId: [],
    publicKey: [],
    status: [],
    createdAt: [],
    bindingMac: [],
    handle: [],
    auditUid: [],
    userSeal: [],
  };
  for (let index = from; index < to; index += 1) {
    const member = compileMember(index, population);
    const publicKey = publicKeys[index % publicKeys.length]!;
    const userSeal = computeSeal(key, describeUser(member));
    const sealed = { ...member, publicKey, userSeal, bindingMac: sealOf(member, publicKey, key) };
    for (const name of Object.keys(columns) as (keyof Columns)[]) (columns[name] as unknown[]).push(sealed[name]);
  }
  return columns;
}

/** The columns that the statement gives every row. */
const SAME = {
  algorithm: -7,
  aaguid: AAGUID,
  name: 'Passkey',
  statusReason: null,
  attachment: 'platform',
  transports: ['internal', 'hybrid'],
  discoverable: true,
  backupEligible: true,
  backedUp: true,
  userVerified: true,
  attestationFormat: 'none',
  attestationTrust: 'none',
  signCount: 0,
  createdBy: CREATED_BY,
  browserKeys: null,
  userHandle: null,
  version: 1,
} as const;

function sealOf({ createdAt, ...member }: Member, publicKey: Buffer, key: SealKey): Buffer {
  const created = new Date(createdAt);
  const times = { createdAt: created, statusChangedAt: created, lastUsedAt: created, lastSignInAt: null };
  return computeSeal(key, describeRow({ ...SAME, ...member, ...times, publicKey, transports: [...SAME.transports] }));
}
