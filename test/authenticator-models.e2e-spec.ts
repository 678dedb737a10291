import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { packedBy } from './support/authenticator/attestation.js';
import { createAttestationAuthority } from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import {
  type AuditEvent,
  makeAuthenticationRejected,
  type Credential,
  type Page,
  makeRegistrationRejected,
} from './support/bodies.js';
import type { Ceremonies } from './support/ceremonies.js';
import { dayFromNow, MetadataAuthority, type MetadataEntry, type MetadataSigner } from './support/metadata-blob.js';
import { TestService } from './support/service.js';

const MODEL_ONE = '11111111-2222-4333-8444-555555555555';
const MODEL_TWO = '22222222-2222-4333-8444-555555555555';
const UNHEARD_OF = '33333333-2222-4333-8444-555555555555';
const GOOGLE = 'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4';
const ICON = 'data:image/png;base64,iVBORw0KGgo=';

const maker = await createAttestationAuthority();
let directory: string;
let file: string;
let signer: MetadataSigner;
let service: TestService;
let login: Ceremonies<string>;

const statusReports = (...statuses: string[]): object[] =>
  statuses.map((status, index) => ({ status, effectiveDate: dayFromNow(index - statuses.length) }));

const entries = (one: string[], two: string[]): MetadataEntry[] => [
  {
    aaguid: MODEL_ONE,
    metadataStatement: {
      description: 'Example Model One',
      icon: ICON,
      attestationRootCertificates: [maker.rootPem.replaceAll(/-----[^-]+-----|\s/g, '')],
    },
    statusReports: statusReports(...one),
  },
  { aaguid: MODEL_TWO, metadataStatement: { description: 'Example Model Two' }, statusReports: statusReports(...two) },
];

interface MetadataDetail {
  no: number;
  refused?: string;
}

async function readiness(): Promise<MetadataDetail> {
  const response = await fetch(`${service.running.managementUrl}/health/ready`);
  const { status, details } = (await response.json()) as { status: string; details: { metadata: MetadataDetail } };
  expect(status).toBe('ok');
  return details.metadata;
}

/** Replaces the file by another, and waits until the service has read it. */
async function publish(blob: string, seen: (detail: MetadataDetail) => boolean): Promise<MetadataDetail> {
  await writeFile(`${file}.new`, blob);
  await rename(`${file}.new`, file);
  for (;;) {
    const detail = await readiness();
    if (seen(detail)) return detail;
    await sleep(100);
  }
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-manager-mds-'));
  file = join(directory, 'blob.jwt');
  const fido = await MetadataAuthority.create();
  signer = await fido.signer();
  await writeFile(file, signer.blob({ no: 1, entries: entries(['FIDO_CERTIFIED_L1'], ['REVOKED']) }));
  service = await TestService.start({ env: { PASSKEY_MDS_BLOB_FILE: file }, metadataRoots: [fido.rootPem] });
  login = await service.relyingParty('login.example.com');
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});

async function refusal(userId: string): Promise<AuditEvent | undefined> {
  const path = `/v1/audit/events?userId=${userId}&outcome=failure`;
  return (await service.client.call<Page<AuditEvent>>('auditor', 'GET', path)).body.data[0];
}

describe('FIDO metadata', () => {
  it('is described in readiness', async () => {
    expect(await readiness()).toMatchObject({
      status: 'up',
      no: 1,
      nextUpdate: dayFromNow(30),
      stale: false,
      ageSeconds: expect.any(Number),
    });
  });

  it('names a model and shows its icon, wherever a credential is shown', async () => {
    const device = new Authenticator({ aaguid: MODEL_ONE });
    const credential = await login.registered('named', device);
    const authenticator = { name: 'Example Model One', icon: ICON };
    expect(credential).toMatchObject({ name: 'Example Model One', authenticator });
    expect(await login.authenticated(device)).toMatchObject({ credential: { authenticator } });
    expect(await service.readCredential(credential.id)).toMatchObject({ authenticator });
  });

  it('leaves providers that it lacks to the service’s own list, and all others without a name', async () => {
    expect(await login.registered('google', new Authenticator({ aaguid: GOOGLE }))).toMatchObject({
      authenticator: { name: 'Google Password Manager' },
    });
    expect(await login.registered('nobody', new Authenticator({ aaguid: UNHEARD_OF }))).toMatchObject({
      name: 'Passkey',
      authenticator: null,
    });
  });

  it('decides for a policy that denies unknown models', async () => {
    const strict = await service.relyingParty('strict.example.com', { authenticators: { unknown: 'deny' } });
    for (const aaguid of [MODEL_ONE, GOOGLE]) {
      expect(await strict.register('ada', new Authenticator({ aaguid }))).toMatchObject({ status: 201 });
    }
    const answer = await strict.register('ada', new Authenticator({ aaguid: UNHEARD_OF }));
    expect(answer).toMatchObject(makeRegistrationRejected('authenticator-denied'));
  });

  it('has the roots that attestations of a model lead to', async () => {
    const trusting = await service.relyingParty('trusting.example.com', {
      attestation: { conveyance: 'direct', trust: 'trusted' },
    });
    const attested = async (aaguid: string): Promise<unknown> => {
      const attestation = packedBy(await maker.issue({ aaguid }));
      return trusting.register('ada', new Authenticator({ aaguid, attestation }));
    };
    expect(await attested(MODEL_ONE)).toMatchObject({ status: 201, body: { attestation: { trust: 'trusted' } } });
    expect(await attested(UNHEARD_OF)).toMatchObject(makeRegistrationRejected('attestation-untrusted'));
  });

  it('keeps a compromised model from being registered', async () => {
    const answer = await login.register('revoked', new Authenticator({ aaguid: MODEL_TWO }));
    expect(answer).toMatchObject(makeRegistrationRejected('authenticator-compromised'));
    expect(await refusal('revoked')).toMatchObject({ status_detail: expect.stringContaining('REVOKED') });
  });
});

describe('a model that is compromised after it was registered', () => {
  const device = new Authenticator({ aaguid: MODEL_ONE });
  let credential: Credential;

  beforeAll(async () => {
    credential = await login.registered('late', device);
    await login.authenticated(device);
  });

  it('is refused at the next authentication after the new file arrives', async () => {
    const revoked = entries(['FIDO_CERTIFIED_L1', 'USER_KEY_REMOTE_COMPROMISE'], []);
    await publish(signer.blob({ no: 2, entries: revoked }), ({ no }) => no === 2);
    expect(await login.authenticate(device)).toMatchObject(makeAuthenticationRejected('authenticator-compromised'));
    const event = { status_code: 'authenticator-compromised', metadata: { event_code: 'credential.verify' } };
    expect(await refusal('late')).toMatchObject({
      ...event,
      status_detail: expect.stringContaining('USER_KEY_REMOTE_COMPROMISE'),
    });
  });

  it('is found by its AAGUID, and its credentials are unchanged', async () => {
    const path = `/v1/credentials?aaguid=${MODEL_ONE}&userId=late`;
    const { body } = await service.client.call<Page<Credential>>('auth-service', 'GET', path);
    expect(body.data).toMatchObject([{ id: credential.id, status: 'active' }]);
  });

  it('stays refused when the former file is put back, and readiness reports that', async () => {
    const former = signer.blob({ no: 1, entries: entries(['FIDO_CERTIFIED_L1'], []) });
    const detail = await publish(former, ({ refused }) => refused !== undefined);
    expect(detail).toMatchObject({ no: 2, refused: 'its no 1 is not higher than 2, which is in use' });
    expect(await login.authenticate(device)).toMatchObject(makeAuthenticationRejected('authenticator-compromised'));
  });

  it('works again with an update that addresses it', async () => {
    const updated = entries(['USER_KEY_REMOTE_COMPROMISE', 'UPDATE_AVAILABLE'], []);
    expect(await publish(signer.blob({ no: 3, entries: updated }), ({ no }) => no === 3)).not.toHaveProperty('refused');
    expect(await login.authenticate(device)).toMatchObject({ status: 200 });
  });
});
