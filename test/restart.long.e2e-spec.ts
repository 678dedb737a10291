import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Authenticator } from './support/authenticator/authenticator.js';
import { type AuditEvent, type Credential, type Page, makeProblem } from './support/bodies.js';
import { requireStatus } from './support/ceremonies.js';
import { ServiceProcess } from './support/service-process.js';

const CALLERS = 8;

/** The state that the service has acknowledged to auth-service, and must keep. */
interface Acknowledged {
  readonly credential: Credential;
  readonly challengeId: string;
  readonly response: unknown;
  /** `asked` means that the service died before it answered, so both outcomes are correct. */
  revocation: 'none' | 'asked' | 'acknowledged';
}

let dataDir: string;
let service: ServiceProcess;
let users = 0;
const acknowledged: Acknowledged[] = [];

async function registerAndRevoke(): Promise<void> {
  const { ceremonies, client } = service;
  const challenge = requireStatus(await ceremonies.requestRegistration(`user-${String((users += 1))}`), 201);
  const response = new Authenticator().create(challenge.publicKey, ceremonies.origin);
  const credential = requireStatus(await ceremonies.answerRegistration(challenge.challengeId, response), 201);
  const entry: Acknowledged = { credential, challengeId: challenge.challengeId, response, revocation: 'none' };
  acknowledged.push(entry);
  if (users % 2 === 0) return;
  entry.revocation = 'asked';
  const path = `/v1/credentials/${credential.id}/revoke`;
  requireStatus(await client.call('auth-service', 'POST', path, { reason: 'lost' }), 200);
  entry.revocation = 'acknowledged';
}

/** Runs until the service has died. A broken connection ends a caller; a wrong answer fails the test. */
async function underLoad(kill: () => Promise<unknown>): Promise<void> {
  let killed = false;
  const callers = Array.from({ length: CALLERS }, async () => {
    for (;;) {
      try {
        await registerAndRevoke();
      } catch (error) {
        if (killed && (error as NodeJS.ErrnoException).code !== undefined) return;
        throw error;
      }
    }
  });
  const killing = async (): Promise<void> => {
    const enough = acknowledged.length + 2 * CALLERS;
    while (acknowledged.length < enough) await sleep(10);
    await sleep(Math.random() * 700);
    killed = true;
    await kill();
  };
  await Promise.all([...callers, killing()]);
}

async function killDatabase(): Promise<void> {
  process.kill(Number.parseInt(await readFile(join(dataDir, 'postgres/data/postmaster.pid'), 'utf8')), 'SIGKILL');
}

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'passkey-manager-'));
  service = await ServiceProcess.start(dataDir);
});
afterAll(async () => {
  await service.stop();
  await rm(dataDir, { recursive: true, force: true });
});

const KILLS: [string, () => Promise<unknown>][] = [
  ['of the service', () => service.kill()],
  ['of the service again', () => service.kill()],
  ['of the service and its database', () => Promise.all([service.kill(), killDatabase()])],
];

describe('after kill -9 at a random moment under load', () => {
  it.each(KILLS)('%s, every acknowledged registration and revocation is there', async (_, kill) => {
    await underLoad(kill);
    service = await ServiceProcess.start(dataDir);
    for (const { credential, revocation } of acknowledged) {
      const found = await service.client.call<Credential>('auth-service', 'GET', `/v1/credentials/${credential.id}`);
      const statuses = { none: ['active'], asked: ['active', 'revoked'], acknowledged: ['revoked'] }[revocation];
      expect(statuses).toContain(found.body.status);
      expect(found).toMatchObject({
        status: 200,
        body: { credentialId: credential.credentialId, userId: credential.userId },
      });
    }
  });

  it('the answered challenges stay spent', async () => {
    for (const { challengeId, response } of acknowledged.slice(-20)) {
      expect(await service.ceremonies.answerRegistration(challengeId, response)).toMatchObject(
        makeProblem(409, 'challenge-spent'),
      );
    }
  });

  it('the audit log has every acknowledged revocation', async () => {
    const revoked = acknowledged.filter(({ revocation }) => revocation === 'acknowledged').slice(-20);
    for (const { credential } of revoked) {
      const path = `/v1/audit/events?credentialId=${credential.id}`;
      const { data } = requireStatus(await service.client.call<Page<AuditEvent>>('auditor', 'GET', path), 200);
      expect(data.map(({ metadata }) => metadata.event_code).sort()).toEqual([
        'credential.register',
        'credential.revoke',
      ]);
    }
  });
});
