/** An event of the log that says what a row must be, as far as the reconciliation reads it. */
export interface LoggedChange {
  /** Id of the event, a UUIDv7. */
  readonly id: string;
  readonly type: string;
  /** The event's place in the log; null while it is pending. */
  readonly leaf: number | null;
  /** The version that the row had after the change; null in events from before versions. */
  readonly version: number | null;
  /** The pseudonym of the user; null if the event has none. */
  readonly user: string | null;
  /** In an exported event about a status: why it was changed. */
  readonly reason?: string;
  /** In an event of an import: the status of the credential. */
  readonly status?: string | null | undefined;
  /** In an event about a finding: what was found (`Finding`). */
  readonly found?: string | null | undefined;
}

/** The status that a credential has after an event of this type. */
const STATUS_AFTER: Readonly<Record<string, string>> = {
  'credential.register': 'active',
  'credential.suspend': 'suspended',
  'credential.reinstate': 'active',
  'credential.revoke': 'revoked',
};

/** Events that few rows have, or that few of them change a row. A walk through the log leaves them out. */
const UNLISTED: ReadonlySet<string> = new Set([
  ...['credential.verify', 'confirmation.verify', 'payment.verify'],
  ...['browser-key.trust', 'browser-key.revoke'],
]);

export const FINDING_TYPE = 'reconciliation.finding';
export const ERASURE_TYPE = 'user.erase';

/**
 * What the log says about one row: the events about it, added up in any order. Its size does not grow with their
 * number.
 *
 * The order of two events is that of the log, because the clocks of replicas differ. Pending events come last, in the
 * order of their ids.
 */
export class RowHistory {
  /** The newest event that made or changed the row; undefined if there is none. */
  newest: LoggedChange | undefined;
  /** The newest one that a walk comes to (LOG_PAGES). A use that changed the row is none of them, nor is a browser-bound key. */
  listed: LoggedChange | undefined;
  /** The event with the highest version of a credential. */
  highest: LoggedChange | undefined;
  /** The newest event that set the status of a credential. */
  transition: LoggedChange | undefined;
  /** The event that revoked the credential, which no later event undoes. */
  revocation: LoggedChange | undefined;
  /** The event that erased the user. */
  erasure: LoggedChange | undefined;
  /** What earlier events have reported of the row. */
  private readonly reports: string[] = [];

  add(change: LoggedChange): void {
    const { type, version } = change;
    if (type === FINDING_TYPE) this.addReport(change);
    else if (type === ERASURE_TYPE) this.erasure = change;
    else {
      this.newest = pickNewer(this.newest, change);
      if (!UNLISTED.has(type)) this.listed = pickNewer(this.listed, change);
      const status = getStatusAfter(change);
      if (status === 'revoked') this.revocation = change;
      if (status !== undefined) this.transition = pickNewer(this.transition, change);
      if (version !== null && version > (this.highest?.version ?? -1)) this.highest = change;
    }
  }

  /** Whoever acts as the service can insert an event, but not have it sequenced, so a pending report does not count. */
  private addReport({ leaf, found }: LoggedChange): void {
    if (leaf !== null && found) this.reports.push(found);
  }

  /** Adds what another source tells of the same row. The same event may be in both. */
  addHistory({ newest, listed, highest, transition, revocation, erasure }: RowHistory): void {
    for (const change of [newest, listed, highest, transition, revocation, erasure]) if (change) this.add(change);
  }

  /** True if an event has already reported this finding, as `describeFinding` words it. */
  hasReport(found: string): boolean {
    return this.reports.includes(found);
  }

  /** The status of the credential; undefined if no event at hand tells. */
  get status(): string | undefined {
    return this.revocation ? 'revoked' : this.transition && getStatusAfter(this.transition);
  }
}

function getStatusAfter({ type, status }: LoggedChange): string | undefined {
  return STATUS_AFTER[type] ?? status ?? undefined;
}

function pickNewer(known: LoggedChange | undefined, change: LoggedChange): LoggedChange {
  return known && comparePlaces(known, change) > 0 ? known : change;
}

function comparePlaces(a: LoggedChange, b: LoggedChange): number {
  const [left, right] = [a.leaf ?? Infinity, b.leaf ?? Infinity];
  if (left !== right) return left < right ? -1 : 1;
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}
