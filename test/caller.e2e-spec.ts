import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

import { makeProblem } from './support/bodies.js';
import { TestService, toSpiffeId } from './support/service.js';
import { until } from './support/until.js';

const SOON = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000).toISOString();
const LATE = '2099-01-01T00:00:00.000Z';

const writePolicy = (operator: string): string => `version: 1
trustDomain: passkey-manager.local
services:
  - id: ${toSpiffeId('auth-service')}
    permissions: [passkeys:authenticate, passkeys:register]
    relyingParties: [login.example.com, app.example.com]
    receiptAudiences: ['spiffe://passkey-manager.local/bank']
    requestsPerSecond: 1000
    notAfter: ${SOON}
  - id: ${toSpiffeId('operator')}
    permissions: [${operator}]
    notAfter: ${LATE}
  - id: ${toSpiffeId('auditor')}
    permissions: [approvals:decide]
approvals:
  permissions: [relying-parties:write, passkeys:erase]
`;

let service: TestService;
beforeAll(async () => {
  service = await TestService.start({ accessPolicy: writePolicy('relying-parties:write, passkeys:read') });
});
afterAll(() => service.stop());

const ask = (identity: string) => service.client.call(identity, 'GET', '/v1/caller');

function readCertificate(identity: string): { notAfter: string; fingerprint: string } {
  const { fingerprint256, validToDate } = new X509Certificate(service.certificateOf(identity).cert);
  return {
    notAfter: validToDate.toISOString(),
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
  };
}

describe('GET /v1/caller', () => {
  it('says what the policy grants the caller, and that the grant ends before the certificate', async () => {
    expect(await ask('auth-service')).toMatchObject({
      status: 200,
      body: {
        id: toSpiffeId('auth-service'),
        permissions: ['passkeys:register', 'passkeys:authenticate'],
        approvalNeeded: [],
        relyingParties: ['login.example.com', 'app.example.com'],
        receiptAudiences: ['spiffe://passkey-manager.local/bank'],
        requestsPerSecond: 1_000,
        expiresAt: SOON,
        certificate: readCertificate('auth-service'),
      },
    });
  });

  it('says what waits for an approval, and that the certificate ends before the grant', async () => {
    const certificate = readCertificate('operator');
    expect(await ask('operator')).toMatchObject({
      status: 200,
      body: {
        permissions: ['passkeys:read', 'relying-parties:write'],
        approvalNeeded: ['relying-parties:write'],
        relyingParties: null,
        receiptAudiences: [],
        requestsPerSecond: null,
        expiresAt: certificate.notAfter,
        certificate,
      },
    });
  });

  it('refuses a caller that the policy does not name', async () => {
    expect(await ask('stranger')).toMatchObject(makeProblem(403, 'permission-denied'));
  });

  it('takes no parameter', async () => {
    const answer = await service.client.call('operator', 'GET', '/v1/caller?id=x');
    expect(answer).toMatchObject(makeProblem(400, 'request-malformed'));
  });

  it('records nothing, as other reads do', async () => {
    const [before] = await service.sql('SELECT count(*)::int AS events FROM audit_event');
    await ask('operator');
    expect(await service.sql('SELECT count(*)::int AS events FROM audit_event')).toEqual([before]);
  });

  it('answers by a new policy as soon as that one decides', async () => {
    await writeFile(join(service.dataDir, 'access-policy.yaml'), writePolicy('passkeys:read'));
    await until(async () => (await ask('operator')).body['approvalNeeded']?.toString() === '');
    expect((await ask('operator')).body).toMatchObject({ permissions: ['passkeys:read'], approvalNeeded: [] });
  });
});
