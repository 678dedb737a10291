import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * The session of the person who started the console. The address that the console prints holds a token; it works once, and buys
 * the cookie that every other request needs. Both are random and end with the process.
 */
export class Session {
  readonly token = randomBytes(32).toString('base64url');
  readonly #cookie = randomBytes(32).toString('base64url');
  #isSpent = false;

  /** A browser sends a cookie to every port of a host, so the name keeps the consoles of one machine apart. */
  static nameCookie(port: number): string {
    return `passkey-console-${String(port)}`;
  }

  get isSpent(): boolean {
    return this.#isSpent;
  }

  /** @returns the cookie to set; undefined for a wrong token and for one that was spent */
  spend(token: string, port: number): string | undefined {
    if (!isSame(token, this.token) || this.#isSpent) return undefined;
    this.#isSpent = true;
    return `${Session.nameCookie(port)}=${this.#cookie}; HttpOnly; SameSite=Strict; Path=/`;
  }

  /** @param header the header `Cookie` */
  admits(header: string | undefined, port: number): boolean {
    const name = `${Session.nameCookie(port)}=`;
    const given = (header ?? '').split(/; */).filter((pair) => pair.startsWith(name));
    return given.length === 1 && isSame(given[0]!.slice(name.length), this.#cookie);
  }
}

/** Compares digests, so that the time says neither where two texts differ nor how long they are. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(hash('sha256', one, 'buffer'), hash('sha256', other, 'buffer'));
}
