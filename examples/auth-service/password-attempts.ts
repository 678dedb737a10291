import { Refusal } from './refusal.ts';

const MAX_ATTEMPTS = 10;
const WINDOW_MS = 15 * 60 * 1000;
const MAX_ADDRESSES = 10_000;

interface Attempts {
  count: number;
  readonly until: number;
}

/**
 * Limits password guesses to ten attempts in 15 minutes for each e-mail address, even if it has no account. Anyone who
 * knows an address can exhaust its attempts, but the user can still sign in with a passkey.
 */
export class PasswordAttempts {
  readonly #attempts = new Map<string, Attempts>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Counts the attempt before the check, so that concurrent attempts count too. A success clears the attempts.
   *
   * @throws Refusal too-many-attempts
   */
  async count<T>(email: string, check: () => Promise<T | undefined>): Promise<T | undefined> {
    const attempts = this.#getAttempts(email);
    if (attempts.count >= MAX_ATTEMPTS) {
      const retryAfterSeconds = Math.ceil((attempts.until - this.#now()) / 1000);
      throw new Refusal(429, 'too-many-attempts', { retryAfterSeconds });
    }
    attempts.count += 1;
    const outcome = await check();
    if (outcome !== undefined) this.#attempts.delete(email);
    return outcome;
  }

  #getAttempts(email: string): Attempts {
    const known = this.#attempts.get(email);
    if (known && known.until > this.#now()) return known;
    const attempts = { count: 0, until: this.#now() + WINDOW_MS };
    this.#attempts.delete(email);
    const [oldest] = this.#attempts.keys();
    if (oldest !== undefined && this.#attempts.size >= MAX_ADDRESSES) this.#attempts.delete(oldest);
    this.#attempts.set(email, attempts);
    return attempts;
  }
}
