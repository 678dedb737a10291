import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Attestation, noAttestation, packedBy, packedSelf } from './support/authenticator/attestation.js';
import {
  type AttestationAuthority,
  createAttestationAuthority,
} from './support/authenticator/attestation-authority.js';
import { Authenticator } from './support/authenticator/authenticator.js';
import { Tpm } from './support/authenticator/tpm.js';
import { makeRegistrationRejected } from './support/bodies.js';
import { type Ceremonies, requireStatus } from './support/ceremonies.js';
import { TestService } from './support/service.js';
import { until } from './support/until.js';

const AAGUID = '6028b017-b1d4-4c02-b4b3-afcdafc96bb2';
const DEVICE_BOUND = { backupEligible: false, backedUp: false };

let directory: string;
let file: string;
let maker: AttestationAuthority;
let other: AttestationAuthority;
let service: TestService;
let trusting: Ceremonies<string>;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-roots-'));
  [maker, other] = await Promise.all([createAttestationAuthority(), createAttestationAuthority('Another Maker')]);
  file = join(directory, 'roots.pem');
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

/** Replaces the file of roots, and waits until the running service has loaded it. */
async function publish(bundle: string): Promise<void> {
  await writeFile(file, bundle);
  const digest = createHash('sha256').update(bundle).digest('hex');
  await until(async () => {
    const response = await fetch(`${service.running.managementUrl}/health/ready`);
    const { details } = (await response.json()) as { details: { attestation_roots: { digest: string } } };
    return details.attestation_roots.digest === digest;
  });
}

describe('a relying party that demands a trusted attestation', () => {
  it('accepts an authenticator whose attestation ends in a configured root, and the audit log has the root', async () => {
    const credential = await trusting.registered('ada', await madeBy(maker));
    expect(credential).toMatchObject({ aaguid: AAGUID, attestation: { format: 'packed', trust: 'trusted' } });
    const path = '/v1/audit/events?type=credential.register&userId=ada';
    const events = requireStatus(await service.client.call<{ data: unknown[] }>('auditor', 'GET', path), 200).data;
    const facts = {
      attestation: 'packed/trusted',
      attestation_root: expect.stringContaining('CN=Example Authenticators Root'),
    };
    expect(events).toMatchObject([{ unmapped: facts }]);
  });

  it('accepts authenticators of another maker as soon as the file has its root, and still accepts the earlier ones', async () => {
    const newcomer = await createAttestationAuthority('Newcomer');
    const early = await trusting.register('eve', await madeBy(newcomer));
    expect(early).toMatchObject(makeRegistrationRejected('attestation-untrusted'));
    expect(early.body).toMatchObject({ detail: expect.stringContaining('is issued by "CN=Newcomer Root') });
    await publish(`${maker.rootPem}\n${newcomer.rootPem}`);
    for (const authority of [newcomer, maker]) await trusting.registered('nell', await madeBy(authority));
    const path = '/v1/audit/events?type=attestation-roots.reload';
    const { data } = requireStatus(await service.client.call<{ data: unknown[] }>('auditor', 'GET', path), 200);
    expect(data).toMatchObject([{ unmapped: { added: [expect.stringContaining('CN=Newcomer Root')], removed: [] } }]);
  });

  it('sees in the metrics which roots attestations end in, and that a root is unknown', async () => {
    await trusting.register('eve', await madeBy(other));
    const metrics = await (await fetch(`${service.running.managementUrl}/metrics`)).text();
    const of = (labels: string): string => `passkey_attestations_total{${labels}}`;
    expect(metrics).toContain(
      of(
        'format="packed",trust="trusted",root="CN=Example Authenticators Root, O=Example Authenticators, C=XX",reason=""',
      ),
    );
    expect(metrics).toContain(of('format="packed",trust="untrusted",root="",reason="root-unknown"'));
  });

  it('authenticates a user with such an authenticator', async () => {
    const authenticator = await madeBy(maker);
    await trusting.registered('grace', authenticator);
    expect(await trusting.authenticated(authenticator)).toMatchObject({ verified: true, userId: 'grace' });
  });

  it('refuses every other attestation', async () => {
    const attestations: [Attestation, string][] = [
      [packedBy(await other.issue({ aaguid: AAGUID })), 'this one is not trusted: it does not end in a known root'],
      [packedSelf, 'signed with the passkey’s own key'],
      [noAttestation, 'this answer has none'],
    ];
    for (const [attestation, detail] of attestations) {
      const answer = await trusting.register('eve', new Authenticator({ aaguid: AAGUID, attestation }));
      expect(answer).toMatchObject(makeRegistrationRejected('attestation-untrusted'));
      expect(answer.body).toMatchObject({ detail: expect.stringContaining(detail) });
    }
  });

  it('accepts a device-bound authenticator where the policy demands one, and only a trusted one', async () => {
    const bound = await service.relyingParty('bound.example.com', { backup: 'device-bound' });
    expect(await bound.register('ada', await madeBy(maker))).toMatchObject({ status: 201 });
    expect(await bound.register('eve', await madeBy(other))).toMatchObject(
      makeRegistrationRejected('attestation-untrusted'),
    );
  });
});

describe('a relying party that allows the SHA-1 of TPMs', () => {
  const windows = {
    key: {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 2_048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
  };

  it('accepts a Windows Hello that it would otherwise refuse, and that refusal names the setting', async () => {
    const tpm = await Tpm.create(windows);
    await publish(`${maker.rootPem}\n${tpm.root.pem}`);
    const hello = () => new Authenticator({ attestation: tpm.attest(-65_535), ...DEVICE_BOUND });
    const refused = await trusting.register('win', hello());
    expect(refused).toMatchObject(makeRegistrationRejected('attestation-untrusted'));
    expect(refused.body).toMatchObject({ detail: expect.stringContaining('allowSha1Tpm is false') });
    const attestation = { conveyance: 'direct', trust: 'trusted' };
    const allowing = await service.relyingParty('sha1.example.com', { attestation, allowSha1Tpm: true });
    expect(await allowing.registered('win', hello())).toMatchObject({
      attestation: { format: 'tpm', trust: 'trusted' },
    });
  });
});
