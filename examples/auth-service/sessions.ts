import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface SignIn {
  readonly accountId: string;
  readonly method: 'password' | 'passkey';
  readonly at: Date;
}

/** One browser, signed in or not. */
export interface Session {
  readonly id: string;
  /** Names the session to others; unlike `id` it opens nothing. */
  readonly reference: string;
  readonly signIn: SignIn | undefined;
  /** Challenges that were issued to this browser and no other: an answer from elsewhere is not taken. */
  readonly challenges: Set<string>;
  readonly expiresAt: number;
}

const LIFETIME_MS = 12 * 60 * 60 * 1000;
const OPEN_CHALLENGES = 10;

/** Sessions by cookie, in memory: a restart signs everyone out. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();

  of(request: IncomingMessage, response: ServerResponse): Session {
    const id = /(?:^|;\s*)session=([\w-]{43})(?:;|$)/.exec(request.headers.cookie ?? '')?.[1];
    const session = id === undefined ? undefined : this.#sessions.get(id);
    if (session && session.expiresAt > Date.now()) return session;
    return this.#start(response, undefined);
  }

  /** A new id for the session whenever its rights change, so that an id from before is worth nothing. */
  renew(former: Session, response: ServerResponse, signIn: SignIn | undefined): Session {
    this.#sessions.delete(former.id);
    return this.#start(response, signIn);
  }

  offer(session: Session, challengeId: string): void {
    const [oldest] = session.challenges;
    if (oldest !== undefined && session.challenges.size >= OPEN_CHALLENGES) session.challenges.delete(oldest);
    session.challenges.add(challengeId);
  }

  #start(response: ServerResponse, signIn: SignIn | undefined): Session {
    const now = Date.now();
    for (const [id, { expiresAt }] of this.#sessions) if (expiresAt <= now) this.#sessions.delete(id);
    const session = {
      id: randomBytes(32).toString('base64url'),
      reference: `session-${randomBytes(6).toString('hex')}`,
      signIn,
      challenges: new Set<string>(),
      expiresAt: now + LIFETIME_MS,
    };
    this.#sessions.set(session.id, session);
    // A real one is `__Host-session` with Secure, which plain http to localhost does not allow in every browser.
    const cookie = `session=${session.id}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${String(LIFETIME_MS / 1000)}`;
    response.setHeader('set-cookie', cookie);
    return session;
  }
}
