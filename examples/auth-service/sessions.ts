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
const SESSIONS_OF_ACCOUNT = 10;
const MAX_SESSIONS = 10_000;

/** Sessions by cookie, in memory: a restart signs everyone out. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();

  /** Returns the browser's session, or a new one, which takes no memory until there is something to remember. */
  of(request: IncomingMessage): Session {
    const id = /(?:^|;\s*)session=([\w-]{43})(?:;|$)/.exec(request.headers.cookie ?? '')?.[1];
    const session = id === undefined ? undefined : this.#sessions.get(id);
    return session && session.expiresAt > Date.now() ? session : create(undefined);
  }

  /** A new id for the session whenever its rights change, so that an id from before is worth nothing. */
  renew(former: Session, response: ServerResponse, signIn: SignIn | undefined): Session {
    this.#sessions.delete(former.id);
    const session = create(signIn);
    if (signIn) this.#keep(session, response);
    else response.setHeader('set-cookie', 'session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0');
    return session;
  }

  offer(session: Session, response: ServerResponse, challengeId: string): void {
    if (!this.#sessions.has(session.id)) this.#keep(session, response);
    const [oldest] = session.challenges;
    if (oldest !== undefined && session.challenges.size >= OPEN_CHALLENGES) session.challenges.delete(oldest);
    session.challenges.add(challengeId);
  }

  #keep(session: Session, response: ServerResponse): void {
    const now = Date.now();
    for (const [id, { expiresAt }] of this.#sessions) if (expiresAt <= now) this.#sessions.delete(id);
    this.#makeRoom(session.signIn?.accountId);
    this.#sessions.set(session.id, session);
    // A real one is `__Host-session` with Secure, which plain http to localhost does not allow in every browser.
    const cookie = `session=${session.id}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${String(LIFETIME_MS / 1000)}`;
    response.setHeader('set-cookie', cookie);
  }

  /** Ends the account's oldest session when it has many. When the store is full, it ends the oldest without a sign-in. */
  #makeRoom(accountId: string | undefined): void {
    const sessions = [...this.#sessions.values()];
    const own = sessions.filter(({ signIn }) => signIn !== undefined && signIn.accountId === accountId);
    if (own.length >= SESSIONS_OF_ACCOUNT) this.#sessions.delete(own[0]!.id);
    if (this.#sessions.size < MAX_SESSIONS) return;
    const oldest = sessions.find(({ signIn }) => signIn === undefined) ?? sessions[0]!;
    this.#sessions.delete(oldest.id);
  }
}

function create(signIn: SignIn | undefined): Session {
  return {
    id: randomBytes(32).toString('base64url'),
    reference: `session-${randomBytes(6).toString('hex')}`,
    signIn,
    challenges: new Set<string>(),
    expiresAt: Date.now() + LIFETIME_MS,
  };
}
