import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { PasskeyManager, type PasskeyProblem } from '@passkey-manager/client';
import { Authenticator } from '../support/authenticator/authenticator.js';
import type { ClientCertificate } from '../support/client.js';
import { issueByStranger, Pki } from '../support/pki.js';
import { ServiceProcess } from '../support/service-process.js';
import { until } from '../support/until.js';

const ORIGIN = 'http://localhost:3000';
const rpId = 'localhost';
const DAY_MS = 86_400_000;

await describe('with the real service, the client', async () => {
  let dataDir: string;
  let pki: Pki;
  let service: ServiceProcess;
  const clients: PasskeyManager[] = [];
  const path = (name: string): string => join(pki.directory, name);

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-client-'));
    service = await ServiceProcess.start(dataDir);
    pki = new Pki(join(dataDir, 'pki'));
  });
  after(async () => {
    for (const client of clients) client.close();
    await service.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  function open(name: string): PasskeyManager {
    const files = { certFile: path(`${name}.crt`), keyFile: path(`${name}.key`), caFile: path('ca.crt') };
    const client = new PasskeyManager({ url: service.url, ...files });
    clients.push(client);
    return client;
  }

  async function write(name: string, { cert, key }: ClientCertificate): Promise<void> {
    await writeFile(path(`${name}.crt`), cert);
    await writeFile(path(`${name}.key`), key);
  }

  async function epoch(): Promise<unknown> {
    const response = await fetch(`${service.managementUrl}/health/ready`);
    const { details } = (await response.json()) as { details: Record<string, Record<string, unknown>> };
    return details['certificate']?.['epoch'];
  }

  /** Revokes certificates, and waits until the service knows. */
  async function revoke(certificate: ClientCertificate): Promise<void> {
    const former = await epoch();
    await pki.revoke(certificate);
    await until(async () => (await epoch()) !== former);
  }

  const refused = async (call: Promise<unknown>, expected: object): Promise<void> => {
    await assert.rejects(call, (error: Error) => {
      const members = new Map(Object.entries(error));
      const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, members.get(name) as unknown]));
      assert.deepEqual(seen, expected, error.message);
      return true;
    });
  };

  await it('registers, signs in, lists, renames, revokes, and reads the log', async () => {
    const passkeys = open('auth-service');
    const authenticator = new Authenticator();
    const issued = await passkeys.issueRegistrationChallenge({
      rpId,
      user: { id: 'u/1 ?', name: 'ada', displayName: 'Ada' },
      identityProof: { method: 'password', verifiedAt: new Date().toISOString() },
    });
    const response = authenticator.create(issued.publicKey, ORIGIN);
    const credential = await passkeys.registerCredential({ challengeId: issued.challengeId, response, name: 'Laptop' });

    const request = await passkeys.issueAuthenticationChallenge({ rpId, userId: 'u/1 ?' });
    const assertion = authenticator.get(request.publicKey, ORIGIN);
    const { userId, auditId } = await passkeys.verifyAuthentication({
      challengeId: request.challengeId,
      response: assertion,
    });
    assert.equal(userId, 'u/1 ?');
    await refused(passkeys.verifyAuthentication({ challengeId: request.challengeId, response: assertion }), {
      slug: 'challenge-spent',
      attempts: 1,
    });

    assert.deepEqual(
      (await passkeys.listCredentials({ rpId, userId })).data.map(({ id }) => id),
      [credential.id],
    );
    assert.equal((await passkeys.renameCredential(credential.id, 'Blue key')).name, 'Blue key');
    assert.equal((await passkeys.revokeCredential(credential.id, 'lost')).status, 'revoked');
    await refused(passkeys.revokeCredential(credential.id, 'lost'), { slug: 'credential-state' });

    const auditor = open('auditor');
    assert.equal((await auditor.getAuditEvent(auditId)).metadata.uid, auditId);
    const { leafIndex } = await auditor.proveAuditEvent(auditId);
    assert.match(await auditor.getAuditCheckpoint(), /^passkey-manager\/default\n/);
    assert.match(await auditor.getAuditKeys(), /^passkey-manager\/default\+/);
    await auditor.proveAuditConsistency({ from: '1', to: String(leafIndex + 1) });
    const lines = (await text(await auditor.exportAuditLog({ from: '0' }))).trimEnd().split('\n');
    assert.match(lines.at(-1)!, /^\{"kind":"proof"/);
  });

  await it('tells which member of a request is wrong', async () => {
    await assert.rejects(open('auth-service').issueAuthenticationChallenge({ rpId, purpose: 'not allowed' }), {
      slug: 'request-malformed',
      message: /^400 request-malformed: .*\/purpose: /,
    });
  });

  await it('tells in the message of a refusal why, and the rest in its members', async () => {
    const passkeys = open('auth-service');
    const { challengeId, publicKey } = await passkeys.issueRegistrationChallenge({
      rpId,
      user: { id: 'u-2', name: 'bob', displayName: 'Bob' },
      identityProof: { method: 'password', verifiedAt: new Date().toISOString() },
    });
    const response = new Authenticator().create(publicKey, 'https://elsewhere.example');
    await assert.rejects(passkeys.registerCredential({ challengeId, response }), (error: PasskeyProblem) => {
      const { message, slug, reason, detail = '', advice = '' } = error;
      assert.deepEqual([slug, reason], ['registration-rejected', 'origin-mismatch']);
      assert.equal(message, `422 registration-rejected: origin-mismatch: ${detail}`);
      assert.match(detail, /https:\/\/elsewhere\.example/);
      assert.notEqual(advice, '');
      return true;
    });
    const title = 'The request does not match the contract';
    await assert.rejects(passkeys.getCredential('no-uuid'), {
      message: new RegExp(`^400 request-malformed: ${title}`),
    });
  });

  await it('loses no call when the service reads its trust files again', async () => {
    const passkeys = open('auth-service');
    await passkeys.listCredentials();
    await revoke(await pki.issue());
    await passkeys.listCredentials();
    await passkeys.listCredentials();
  });

  await it('tells that its certificate was revoked, and works again as soon as it has another one', async () => {
    const former = await pki.issue();
    await write('rotated', former);
    const passkeys = open('rotated');
    await passkeys.listCredentials();
    await revoke(former);
    await refused(passkeys.listCredentials(), { slug: 'caller-unidentified', attempts: 1 });
    await refused(passkeys.listCredentials(), { code: 'client-certificate-refused', mayHaveArrived: true });
    await write('rotated', await pki.issue());
    await passkeys.listCredentials();
  });

  for (const [what, issue, code] of [
    ['another authority has issued', () => issueByStranger(), 'client-certificate-refused'],
    [
      'has expired',
      () => pki.issue({ notBefore: new Date(0), notAfter: new Date(Date.now() - DAY_MS) }),
      'client-certificate-expired',
    ],
    [
      'may not be a client’s',
      () => pki.issue({ extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'] }),
      'client-certificate-refused',
    ],
  ] as const) {
    await it(`tells of a certificate that ${what}`, async () => {
      await write('odd', await issue());
      await refused(open('odd').listCredentials(), { code, attempts: 1 });
    });
  }

  await it('tells of a certificate that is no service identity', async () => {
    await write('nobody', await pki.issue({ uris: [] }));
    await refused(open('nobody').listCredentials(), { slug: 'caller-unidentified' });
    await refused(open('stranger').listCredentials(), { slug: 'permission-denied' });
  });

  await it('waits while it has used up the rate of its grant', async () => {
    const file = join(dataDir, 'access-policy.yaml');
    const policy = await readFile(file, 'utf8');
    await writeFile(file, policy.replace(/^.*\/auth-service$/m, '$&\n    requestsPerSecond: 1'));
    const isLimited = async () => (await service.client.call('auth-service', 'GET', '/v1/credentials')).status === 429;
    await until(isLimited);
    const passkeys = open('auth-service');
    for (let n = 0; n < 3; n += 1) await passkeys.listCredentials();
    assert.ok(await isLimited());
  });
});
