import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

export interface SignIn {
  readonly accountId: string;
  readonly method: 'password' | 'passkey';
  readonly at: Date;
  /** True if the user signed in by a passkey of the former relying party, and has none of the present one. */
  readonly mustMove?: boolean;
  /** The passkey of the sign-in, as long as the session depends on it. */
  passkeyId?: string | undefined;
}

/** The session of one browser, signed in or not. */
export interface Session {
  readonly id: string;
  /** Identifies the session to other services. Unlike `id`, it grants no access. */
  readonly reference: string;
  readonly signIn: SignIn | undefined;
  /** Challenges that were issued to this browser. An answer from another browser is refused. */
  readonly challenges: Set<string>;
  readonly expiresAt: number;
}

const LIFETIME_MS = 12 * 60 * 60 * 1000;
const OPEN_CHALLENGES = 10;
const SESSIONS_OF_ACCOUNT = 10;
const MAX_SESSIONS = 10_000;

/** Keeps sessions in memory, by cookie. A restart signs everyone out. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();

  /** Returns the browser's session, or a new one, which is stored only when it gets a challenge or a sign-in. */
  getSession(request: IncomingMessage): Session {
    const id = /(?:^|;\s*)session=([\w-]{43})(?:;|$)/.exec(request.headers.cookie ?? '')?.[1];
    const session = id === undefined ? undefined : this.#sessions.get(id);
    return session && session.expiresAt > Date.now() ? session : createSession(undefined);
  }

  /** Replaces the session id when the rights of the session change, so that an older id is worthless. */
  renew(former: Session, response: ServerResponse, signIn: SignIn | undefined): Session {
    this.#sessions.delete(former.id);
    const session = createSession(signIn);
    if (signIn) this.#keep(session, response);
    else response.setHeader('set-cookie', 'session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0');
    return session;
  }

  addChallenge(session: Session, response: ServerResponse, challengeId: string): void {
    if (!this.#sessions.has(session.id)) this.#keep(session, response);
    const [oldest] = session.challenges;
    if (oldest !== undefined && session.challenges.size >= OPEN_CHALLENGES) session.challenges.delete(oldest);
    session.challenges.add(challengeId);
  }

  /** Lets a session go on whose user revokes the passkey of its sign-in by this very session. */
  detach({ signIn }: Session, passkeyId: string): void {
    if (signIn?.passkeyId === passkeyId) signIn.passkeyId = undefined;
  }

  /** Ends the sessions of an account whose passkey is not one of these. */
  endWithout(accountId: string, passkeyIds: ReadonlySet<string>): void {
    for (const [id, { signIn }] of this.#sessions) {
      if (signIn?.accountId !== accountId || signIn.passkeyId === undefined) continue;
      if (!passkeyIds.has(signIn.passkeyId)) this.#sessions.delete(id);
    }
  }

  #keep(session: Session, response: ServerResponse): void {
    const now = Date.now();
    for (const [id, { expiresAt }] of this.#sessions) if (expiresAt <= now) this.#sessions.delete(id);
    this.#makeRoom(session.signIn?.accountId);
    this.#sessions.set(session.id, session);
    // In production, use `__Host-session` with Secure. Not every browser allows that for plain http to localhost.
    const cookie = `session=${session.id}; HttpOnly; SameSite=Lax; Path=/; Max-Age=${String(LIFETIME_MS / 1000)}`;
    response.setHeader('set-cookie', cookie);
  }

  /**
   * Ends the oldest session of an account that has too many. If the store is full, ends the oldest one without a
   * sign-in.
   */
  #makeRoom(accountId: string | undefined): void {
    const sessions = [...this.#sessions.values()];
    const own = sessions.filter(({ signIn }) => signIn !== undefined && signIn.accountId === accountId);
    if (own.length >= SESSIONS_OF_ACCOUNT) this.#sessions.delete(own[0]!.id);
    if (this.#sessions.size < MAX_SESSIONS) return;
    const oldest = sessions.find(({ signIn }) => signIn === undefined) ?? sessions[0]!;
    this.#sessions.delete(oldest.id);
  }
}

function createSession(signIn: SignIn | undefined): Session {
  return {
    id: randomBytes(32).toString('base64url'),
    reference: `session-${randomBytes(6).toString('hex')}`,
    signIn,
    challenges: new Set<string>(),
    expiresAt: Date.now() + LIFETIME_MS,
  };
}
