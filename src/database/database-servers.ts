/** Where a session was made. */
export interface Place {
  readonly server: number;
  readonly stay: number;
}

/**
 * The servers that a URL names. One of them takes new sessions until it fails; then the next one does. A server that takes no
 * writes is left: the sessions that were made there end.
 */
export class DatabaseServers {
  readonly count: number;
  private current = 0;
  /** For each server, how often it was left. */
  private readonly stays: number[];

  constructor(count: number) {
    this.count = count;
    this.stays = Array.from({ length: count }, () => 0);
  }

  /** Where the next session is made. */
  get place(): Place {
    return { server: this.current, stay: this.stays[this.current] ?? 0 };
  }

  /** No session could be made there. */
  pass({ server }: Place): void {
    if (server === this.current) this.current = (server + 1) % this.count;
  }

  /** The server there takes no writes. */
  leave(place: Place): void {
    if (this.isLeft(place)) return;
    this.stays[place.server] = place.stay + 1;
    this.pass(place);
  }

  /** Reports whether the server of a session was left after the session was made. */
  isLeft({ server, stay }: Place): boolean {
    return this.stays[server] !== stay;
  }
}
