import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MetadataFile } from '../src/authenticators/metadata-file.js';
import { CompromisedModels } from '../src/signals/compromised-models.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import type { Ceremonies } from './support/ceremonies.js';
import { dayFromNow, MetadataAuthority, type MetadataSigner } from './support/metadata-blob.js';
import { COMPROMISE, Receiver } from './support/receiver.js';
import { type Replica, TestService } from './support/service.js';

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
       SELECT json_populate_record(c, json_build_object('id', gen_random_uuid(), 'user_id', 'u-' || i, 'aaguid', $1::text,
                'credential_id', '\\x' || encode(sha256(i::text::bytea), 'hex'), 'status', CASE i WHEN 1 THEN 'revoked' ELSE 'active' END)) AS r
         FROM credential c, generate_series(1, $2::integer) i) AS made`,
    [MODEL, PASSKEYS],
  );
});
afterAll(async () => {
  await replica.stop();
  await service.stop();
  await rm(directory, { recursive: true });
});

describe('RISC 1.0 §2.8: the credential-compromise of a model that metadata newly calls compromised', () => {
  it('is sent once for each active passkey, by whichever replica, with the number of the metadata as txn', async () => {
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
