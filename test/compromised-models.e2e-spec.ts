import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MetadataFile } from '../src/authenticators/metadata-file.js';
import { CompromisedModels } from '../src/signals/compromised-models.js';
import pg from 'pg';
import { Authenticator } from './support/authenticator/authenticator.js';
import { Ceremonies } from './support/ceremonies.js';
import { importLines, movePasskey } from './support/imports.js';
import { dayFromNow, MetadataAuthority, type MetadataSigner } from './support/metadata-blob.js';
import { COMPROMISE, Receiver } from './support/receiver.js';
import { type Replica, TestService } from './support/service.js';
import { until } from './support/until.js';

const MODEL = '11111111-2222-4333-8444-555555555555';
/** More than one batch. */
const PASSKEYS = 1_203;

let directory: string;
let file: string;
let signer: MetadataSigner;
let service: TestService;
let replica: Replica;
let login: Ceremonies<string>;
let receiver: Receiver<string>;
let roots: readonly string[];
let no = 0;

const makeBlob = (...statuses: string[]): string => {
  const statusReports = statuses.map((status, at) => ({ status, effectiveDate: dayFromNow(at - statuses.length) }));
  const entry = { aaguid: MODEL, metadataStatement: { description: 'Model' }, statusReports };
  return signer.blob({ no: (no += 1), entries: [entry] });
};
const servers = () => [service.running.app, replica.running.app];
const startReplica = (): Promise<Replica> => service.startReplica(undefined, { PASSKEY_MDS_BLOB_FILE: file }, roots);
/** Publishes metadata, and lets both replicas tell of it at once. */
const publish = async (...statuses: string[]): Promise<void> => {
  await writeFile(`${file}.new`, makeBlob(...statuses));
  await rename(`${file}.new`, file);
  for (const app of servers()) await app.get(MetadataFile).reload();
  await walk();
};
const walk = async (): Promise<void> => {
  await Promise.all(servers().map((app) => app.get(CompromisedModels).run()));
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-models-'));
  file = join(directory, 'blob.jwt');
  const fido = await MetadataAuthority.create();
  signer = await fido.signer();
  roots = [fido.rootPem];
  await writeFile(file, makeBlob('FIDO_CERTIFIED_L1'));
  service = await TestService.start({ env: { PASSKEY_MDS_BLOB_FILE: file }, metadataRoots: roots });
  replica = await startReplica();
  login = await service.relyingParty('login.example.com');
  receiver = await Receiver.create(service.client, 'auth-service');
  await login.registered('ada', new Authenticator());
  await receiver.drain();
  await service.sql(
    `INSERT INTO credential SELECT (r).* FROM (
       SELECT json_populate_record(c, json_build_object('id', '01970000-0000-7000-8000-' || lpad(i::text, 12, '0'), 'user_id', 'u-' || i, 'aaguid', $1::text,
                'credential_id', '\\x' || encode(sha256(i::text::bytea), 'hex'), 'status', CASE i WHEN 1 THEN 'revoked' WHEN 2 THEN 'suspended' ELSE 'active' END)) AS r
         FROM credential c, generate_series(1, $2::integer) i) AS made`,
    [MODEL, PASSKEYS],
  );
});
afterAll(async () => {
  await replica.stop();
  await service.stop();
  await rm(directory, { recursive: true });
});

describe('RISC 1.0 §2.7: the credential-compromise of a model that metadata newly calls compromised', () => {
  it('is sent once for each passkey that is not revoked, by whichever replica, with the number of the metadata as txn', async () => {
    await publish('FIDO_CERTIFIED_L1', 'USER_KEY_REMOTE_COMPROMISE');
    const sets = await receiver.drain();
    expect(sets).toHaveLength(PASSKEYS - 1);
    expect(new Set(sets.map(({ user }) => user)).size).toBe(PASSKEYS - 1);
    expect(sets[0]).toMatchObject({
      type: COMPROMISE,
      claims: { txn: 'metadata-2' },
      event: { initiating_entity: 'policy', fido2_aaguid: MODEL },
    });
    expect(JSON.stringify(sets[0]!.event['reason_admin'])).toContain('USER_KEY_REMOTE_COMPROMISE');
  });

  it('is not sent again by newer metadata that says the same, nor after a restart', async () => {
    await publish('FIDO_CERTIFIED_L1', 'USER_KEY_REMOTE_COMPROMISE');
    await replica.stop();
    replica = await startReplica();
    await replica.running.app.get(CompromisedModels).run();
    expect(await receiver.drain()).toEqual([]);
  });

  it('is sent again if the model is compromised anew after an update', async () => {
    await publish('USER_KEY_REMOTE_COMPROMISE', 'UPDATE_AVAILABLE');
    expect(await receiver.drain()).toEqual([]);
    await publish('USER_KEY_REMOTE_COMPROMISE', 'UPDATE_AVAILABLE', 'USER_VERIFICATION_BYPASS');
    expect(await receiver.drain()).toHaveLength(PASSKEYS - 1);
  });
});

describe('a passkey of the model that is stored after the background has told of the others', () => {
  /** The users of whom the receiver hears after another minute, and after one more. */
  const hear = async (): Promise<(string | undefined)[]> => {
    const users = [];
    for (let minute = 0; minute < 2; minute += 1) {
      service.clock.advance(61);
      await walk();
      const sets = await receiver.drain();
      users.push(...sets.filter(({ type }) => type === COMPROMISE).map(({ user }) => user));
    }
    return users;
  };
  const authenticator = () => new Authenticator({ aaguid: MODEL });

  beforeEach(async () => {
    await service.sql('DELETE FROM credential WHERE aaguid = $1', [MODEL]);
  });

  it('is told of once, if a replica with older metadata has registered it', async () => {
    const older = join(directory, 'older.jwt');
    await writeFile(older, signer.blob({ no: 1, entries: [] }));
    const stale = await service.startReplica(undefined, { PASSKEY_MDS_BLOB_FILE: older }, roots);
    try {
      await new Ceremonies(stale.client, service.clock, 'auth-service', login.rpId).registered(
        'stale',
        authenticator(),
      );
    } finally {
      await stale.stop();
    }
    expect(await hear()).toEqual(['stale']);
  });

  it('is told of once, if an import has stored it', async () => {
    await importLines(service.client, login.rpId, [
      movePasskey(authenticator(), login.rpId, 'moved', { aaguid: MODEL }),
    ]);
    expect(await hear()).toEqual(['moved']);
  });

  it('is told of once, if it was verified before the report and stored after the walk', async () => {
    await publish('USER_KEY_REMOTE_COMPROMISE', 'UPDATE_AVAILABLE');
    await login.registered('late', new Authenticator());
    const holder = new pg.Client({ connectionString: service.database.ownerUrl });
    await holder.connect();
    try {
      await holder.query(`BEGIN; SELECT FROM user_handle WHERE user_id = 'late' FOR UPDATE`);
      const registered = login.registered('late', authenticator());
      await until(async () => {
        const waiting = await service.sql(
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
      await publish('USER_KEY_REMOTE_COMPROMISE', 'UPDATE_AVAILABLE', 'ATTESTATION_KEY_COMPROMISE');
      await holder.query('COMMIT');
      await registered;
    } finally {
      await holder.end();
    }
    expect(await hear()).toEqual(['late']);
  });

  it('is not registered by a replica that has read the report', async () => {
    const answer = await login.register('refused', authenticator());
    expect(answer).toMatchObject({ status: 422, body: { reason: 'authenticator-compromised' } });
  });
});
