import { setTimeout as sleep } from 'node:timers/promises';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import type { Credential } from '../../test/support/bodies.js';
import type { Answer } from '../../test/support/client.js';
import type { ServiceProcess } from '../../test/support/service-process.js';
import type { Change, Ledger, Life } from './ledger.js';

/** A crash came between a request and its answer, or the service answered 503 with Retry-After. */
class Unanswered extends Error {
  override readonly name = 'Unanswered';
}

const AFTER: Readonly<Record<Exclude<Change, 'rename'>, Credential['status']>> = {
  suspend: 'suspended',
  reinstate: 'active',
  revoke: 'revoked',
};
const PAUSE_MS = 20;
/** The share of authentications after which the auditor asks for a proof. */
const PROOFS = 0.3;
let users = 0;

/** Registers, authenticates, renames, suspends, reinstates and revokes until `stopped`. It repeats no request. */
export async function live(service: ServiceProcess, ledger: Ledger, stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    try {
      await oneLife(service, ledger, stopped);
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      ledger.unanswered += 1;
      await sleep(PAUSE_MS);
    }
  }
}

/** Collects every checkpoint that the service answers, in order. */
export async function watchCheckpoints(service: ServiceProcess, seen: string[], stopped: AbortSignal): Promise<void> {
  while (!stopped.aborted) {
    const answer = await service.client.call<string>('auditor', 'GET', '/v1/audit/checkpoint').catch(() => undefined);
    if (answer?.status === 200 && answer.body !== seen.at(-1)) seen.push(answer.body);
    await sleep(PAUSE_MS);
  }
}

async function oneLife(service: ServiceProcess, ledger: Ledger, stopped: AbortSignal): Promise<void> {
  const { ceremonies } = service;
  const authenticator = new Authenticator({ counts: true });
  const challenge = await answered(ledger, 201, ceremonies.requestRegistration(`user-${String((users += 1))}`));
  const response = authenticator.create(challenge.publicKey, ceremonies.origin);
  const life = ledger.begin(
    await answered(ledger, 201, ceremonies.answerRegistration(challenge.challengeId, response)),
  );
  const verify = (): Promise<void> => authenticate(service, ledger, life, authenticator);
  const change = (what: Change): Promise<void> => ask(service, ledger, life, what);
  const steps = [
    verify,
    () => change('rename'),
    verify,
    () => change('suspend'),
    () => change('reinstate'),
    () => change('rename'),
    verify,
    () => change('revoke'),
  ];
  const length = Math.ceil(Math.random() * steps.length);
  for (const step of steps.slice(0, length)) {
    if (stopped.aborted) return;
    await step();
  }
}

async function authenticate(
  { ceremonies, client }: ServiceProcess,
  ledger: Ledger,
  life: Life,
  authenticator: Authenticator,
): Promise<void> {
  const challenge = await answered(ledger, 201, ceremonies.requestAuthentication());
  const response = authenticator.get(challenge.publicKey, ceremonies.origin);
  life.uncertain = 'verify';
  const { auditId } = await answered(ledger, 200, ceremonies.answerAuthentication(challenge.challengeId, response));
  life.uncertain = undefined;
  life.verified.push(auditId);
  ledger.acknowledged += 1;
  // A request for a proof sequences the log at once, so crashes hit that, too.
  if (Math.random() < PROOFS)
    await client.call('auditor', 'GET', `/v1/audit/events/${auditId}/proof`).catch(() => undefined);
}

async function ask({ client }: ServiceProcess, ledger: Ledger, life: Life, change: Change): Promise<void> {
  const path = `/v1/credentials/${life.id}`;
  life.uncertain = change;
  if (change === 'rename') {
    const name = `name-${String(life.acknowledged.rename + 1)}`;
    await answered(ledger, 200, client.call('auth-service', 'PATCH', path, { name }));
  } else {
    const reason = { suspend: 'user-request', reinstate: 'user-request', revoke: 'lost' }[change];
    await answered(ledger, 200, client.call('auth-service', 'POST', `${path}/${change}`, { reason }));
    life.status = AFTER[change];
  }
  life.uncertain = undefined;
  life.acknowledged[change] += 1;
  ledger.acknowledged += 1;
}

async function answered<Body>(ledger: Ledger, status: number, request: Promise<Answer<Body>>): Promise<Body> {
  const answer = await request.catch((error: unknown) => {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) ledger.faults.push(message);
    throw new Unanswered();
  });
  if (answer.status === status) return answer.body;
  const isDue = answer.status === 503 && answer.headers['retry-after'] !== undefined;
  if (!isDue) ledger.faults.push(`${String(answer.status)}: ${JSON.stringify(answer.body)}`);
  throw new Unanswered();
}
