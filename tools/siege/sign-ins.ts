import { setTimeout as sleep } from 'node:timers/promises';
import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import { quantile } from '../../bench/load/latency.js';
import type { ClientCertificate } from '../../test/support/client.js';
import { type LiveAnswer, LiveConnection } from '../../test/support/live-connection.js';
import { enrol, type WelcomeCaller } from '../rotations/callers.js';

/** The numbers of callers that keep their connection, and of callers that open a new connection for each sign-in. */
const KEEPING = 3;
const COMING = 3;
const PACE_MS = 60;
const PATIENCE_MS = 20_000;

/** The sign-ins of a period. */
export interface SignIns {
  readonly done: number;
  readonly failures: readonly string[];
  /** Milliseconds of each whole sign-in, with its handshake if it made one. */
  readonly latencies: readonly number[];
}

export function p99(latencies: readonly number[]): number {
  return quantile(Float64Array.from(latencies).sort(), 0.99);
}

/** The users of auth-service, which sign in all the time. */
export class WelcomeCallers {
  private readonly callers: readonly WelcomeCaller[];
  private readonly connect: () => LiveConnection;

  private constructor(callers: readonly WelcomeCaller[], connect: () => LiveConnection) {
    this.callers = callers;
    this.connect = connect;
  }

  static async enrol(url: string, ca: string, certificate: ClientCertificate): Promise<WelcomeCallers> {
    const connect = (): LiveConnection => new LiveConnection(url, ca, certificate);
    const users = Array.from({ length: KEEPING + COMING }, (_, n) => enrol(connect(), `user-${String(n)}`));
    return new WelcomeCallers(await Promise.all(users), connect);
  }

  /** Signs in until `stop`. */
  async signIn(stopped: AbortSignal): Promise<SignIns> {
    const [latencies, failures] = [[] as number[], [] as string[]];
    const run = async (caller: WelcomeCaller, index: number): Promise<void> => {
      while (!stopped.aborted) {
        const began = performance.now();
        const connection = index < KEEPING ? caller.connection : this.connect();
        const failure = await within(PATIENCE_MS, signInOnce({ ...caller, connection }));
        if (failure === undefined) latencies.push(performance.now() - began);
        else failures.push(failure);
        if (index >= KEEPING) connection.close();
        await sleep(Math.max(5, PACE_MS - (performance.now() - began)));
      }
    };
    await Promise.all(this.callers.map(run));
    return { done: latencies.length, failures, latencies };
  }

  close(): void {
    for (const { connection } of this.callers) connection.close();
  }
}

/** @returns the reason of a failure */
async function signInOnce({ connection, authenticator }: WelcomeCaller): Promise<string | undefined> {
  try {
    const issued = await connection.post('/v1/challenges/authentication', { rpId: 'localhost' });
    if (issued.status !== 201) return failureOf('challenge', issued);
    const { challengeId, publicKey } = issued.body as unknown as {
      challengeId: string;
      publicKey: PublicKeyCredentialRequestOptionsJSON;
    };
    const response = authenticator.get(publicKey, 'http://localhost:3000');
    const verified = await connection.post('/v1/credentials/verify', { challengeId, response });
    return verified.status === 200 ? undefined : failureOf('answer', verified);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code ?? message;
  }
}

function failureOf(what: string, { status, body }: LiveAnswer): string {
  const { type, detail } = body as Partial<Record<string, string>>;
  return [`${what}: ${String(status)}`, type, detail].join(' ').trim();
}

async function within(ms: number, signIn: Promise<string | undefined>): Promise<string | undefined> {
  const stopping = new AbortController();
  const late = sleep(ms, `no answer within ${String(ms / 1_000)} s`, { signal: stopping.signal }).catch(
    () => undefined,
  );
  const outcome = await Promise.race([signIn, late]);
  stopping.abort();
  return outcome;
}
