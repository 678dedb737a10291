import { setTimeout as sleep } from 'node:timers/promises';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import type { LiveAnswer, LiveConnection } from '../../test/support/live-connection.js';

const ORIGIN = 'http://localhost:3000';
const RP_ID = 'localhost';
const PAUSE_MS = 5;

/** Counts the outcomes of requests by kind. It repeats no request. */
export class Tally {
  served = 0;
  readonly failed = new Map<string, number>();

  /** @returns the answer, if it is a 2xx */
  async count(what: string, request: Promise<LiveAnswer>): Promise<LiveAnswer | undefined> {
    try {
      const answer = await request;
      if (answer.status >= 200 && answer.status < 300) {
        this.served += 1;
        return answer;
      }
      this.fail(`${what}: ${String(answer.status)} ${String(answer.body['type'])} ${String(answer.body['detail'])}`);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.fail(`${what}: ${code ?? ''} ${message}`);
    }
    return undefined;
  }

  private fail(kind: string): void {
    this.failed.set(kind, (this.failed.get(kind) ?? 0) + 1);
  }
}

/** A caller that stays welcome, on one connection, with a user who has a passkey. */
export interface WelcomeCaller {
  readonly connection: LiveConnection;
  readonly authenticator: Authenticator;
  readonly credentialId: string;
}

/** Authenticates the user and reads the credential until it is stopped. */
export async function callAllTheTime(
  { connection, authenticator, credentialId }: WelcomeCaller,
  tally: Tally,
  stopped: AbortSignal,
): Promise<void> {
  while (!stopped.aborted) {
    const challenge = await tally.count('challenge', connection.post('/v1/challenges/authentication', { rpId: RP_ID }));
    if (challenge) {
      const { challengeId, publicKey } = challenge.body as unknown as {
        challengeId: string;
        publicKey: PublicKeyCredentialRequestOptionsJSON;
      };
      const response = authenticator.get(publicKey, ORIGIN);
      await tally.count('verify', connection.post('/v1/credentials/verify', { challengeId, response }));
    }
    await tally.count('read', connection.get(`/v1/credentials/${credentialId}`));
    await sleep(PAUSE_MS);
  }
}

/** @throws Error when the registration fails */
export async function enrol(connection: LiveConnection, userId: string): Promise<WelcomeCaller> {
  const authenticator = new Authenticator();
  const challenge = await connection.post('/v1/challenges/registration', {
    rpId: RP_ID,
    user: { id: userId, name: userId, displayName: userId },
    identityProof: { method: 'rotations', verifiedAt: new Date().toISOString() },
  });
  const { challengeId, publicKey } = challenge.body as unknown as {
    challengeId: string;
    publicKey: PublicKeyCredentialCreationOptionsJSON;
  };
  const response = authenticator.create(publicKey, ORIGIN);
  const { status, body } = await connection.post('/v1/credentials', { challengeId, response });
  if (status !== 201) throw new Error(`no passkey: ${String(status)} ${JSON.stringify(body)}`);
  return { connection, authenticator, credentialId: String(body['id']) };
}

/** A caller that loses its rights while its connection is open, and keeps trying. */
export class Victim {
  /** Milliseconds from the change of the file to the first request that fails. */
  lasted: number | undefined;
  servedAfterwards = 0;
  private changed = Infinity;
  private readonly connection: LiveConnection;

  constructor(connection: LiveConnection) {
    this.connection = connection;
  }

  /** @throws Error when its first request is refused */
  async connect(): Promise<void> {
    const { status } = await this.connection.get('/v1/credentials?limit=1');
    if (status !== 200) throw new Error(`the victim was refused before the change: ${String(status)}`);
  }

  shutOut(): void {
    this.changed = performance.now();
  }

  async tryAllTheTime(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const served = await this.connection.get('/v1/credentials?limit=1').then(
        ({ status }) => status < 300,
        () => false,
      );
      if (served && this.lasted !== undefined) this.servedAfterwards += 1;
      if (!served) this.lasted ??= performance.now() - this.changed;
      await sleep(this.lasted === undefined ? PAUSE_MS : 1_000, undefined, { signal: stopped }).catch(() => undefined);
    }
    this.connection.close();
  }
}
