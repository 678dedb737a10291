import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { noAttestation, packedBy, packedSelf } from './support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  createAttestationAuthority,
} from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { registrationRejected } from './support/bodies.js';
import { type Ceremonies, succeeded } from './support/ceremonies.js';
import { TestService } from './support/service.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const DEVICE_BOUND = { backupEligible: false, backedUp: false };

let directory: string;
let maker: AttestationAuthority;
let other: AttestationAuthority;
let service: TestService;
let trusting: Ceremonies<string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-roots-'));
  [maker, other] = await Promise.all([createAttestationAuthority(), createAttestationAuthority('Another Maker')]);
  const file = join(directory, 'roots.pem');
  await writeFile(file, maker.rootPem);
  service = await TestService.start({ env: { PASSKEY_ATTESTATION_ROOTS_FILE: file } });
  const attestation = { conveyance: 'direct', trust: 'trusted' };
  trusting = await service.relyingParty('trust.example.com', { attestation });
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true });
});

const madeBy = async (authority: AttestationAuthority): Promise<Authenticator> =>
  new Authenticator({
    aaguid: AAGUID,
    attestation: packedBy(await authority.issue({ aaguid: AAGUID })),
    ...DEVICE_BOUND,
  });

describe('a relying party that demands a trusted attestation', () => {
  it('accepts an authenticator whose attestation ends in a configured root, and the audit log has the root', async () => {
    const credential = await trusting.registered('ada', await madeBy(maker));
    expect(credential).toMatchObject({ aaguid: AAGUID, attestation: { format: 'packed', trust: 'trusted' } });
    const path = '/v1/audit/events?type=credential.register&userId=ada';
    const events = succeeded(await service.client.call<{ data: unknown[] }>('auditor', 'GET', path), 200).data;
    const facts = {
      ...{ attestation: 'packed/trusted', attestation_root: expect.stringContaining('CN=Example Authenticators Root') },
    };
    expect(events).toMatchObject([{ unmapped: facts }]);
  });

  it('authenticates with it', async () => {
    const authenticator = await madeBy(maker);
    await trusting.registered('grace', authenticator);
    expect(await trusting.authenticated(authenticator)).toMatchObject({ verified: true, userId: 'grace' });
  });

  it('refuses every other one', async () => {
    const attestations = [packedBy(await other.issue({ aaguid: AAGUID })), packedSelf, noAttestation];
    for (const attestation of attestations) {
      const answer = await trusting.register('eve', new Authenticator({ aaguid: AAGUID, attestation }));
      expect(answer).toMatchObject(registrationRejected('attestation-untrusted'));
    }
  });

  it('accepts a device-bound one where that is demanded, and only a trusted one', async () => {
    const bound = await service.relyingParty('bound.example.com', { backup: 'device-bound' });
    expect(await bound.register('ada', await madeBy(maker))).toMatchObject({ status: 201 });
    expect(await bound.register('eve', await madeBy(other))).toMatchObject(
      registrationRejected('attestation-untrusted'),
    );
  });
});
