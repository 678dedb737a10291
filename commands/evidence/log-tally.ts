import { readLoggedEvent, type LoggedEvent } from '../audit-report/logged-event.js';

/** The uses of a permission by one identity. Times are milliseconds since 1970. */
export interface Uses {
  used: number;
  last: number;
  refused: number;
  lastRefused: number;
}

/** The reading of the log by one identity on one day. */
export interface Reading {
  readonly day: string;
  readonly caller: string;
  reads: number;
  exports: number;
  last: number;
}

/** An event that is shown on its own: a restore, a change of keys, the archive of a month. */
export interface ListedEvent {
  readonly time: string;
  readonly type: string;
  readonly detail: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

/** The facts that an event may show. None of them is about a person, and no caller writes any of them. */
const SHOWN_FACTS = [
  ...[
    'lost_checkpoint',
    'continued_checkpoint',
    'old_keys',
    'new_keys',
    'old_keys_sign',
    'seal_key',
    'former_seal_key',
  ],
  ...['partition', 'leaves', 'events', 'sha256', 'signs', 'formerly_signed', 'added', 'removed', 'rows'],
];
const LISTED: ReadonlySet<string> = new Set([
  ...['audit.restore', 'audit.archive', 'audit.rekey', 'receipt-keys.reload', 'signal-keys.reload'],
  ...['seal-key.add', 'seal-key.rotate', 'seal-key.retire', 'seal-key.force-retire', 'seal-key.end-old-seals'],
]);
/** Events that say that a control failed or that something was altered (PCI DSS 4.0.1 10.7.2 and 10.3.4). */
const SIGNS =
  /\.tampered$|^(?:audit\.failure|audit\.recovery|reconciliation\.finding|risk\.signal|signal-stream\.drop)$/;
const MAX_LISTED = 10_000;

/**
 * Collects what the evidence needs from the log while the log is verified, so that nothing comes from an event that is not
 * proved. Memory grows with identities and days, not with events.
 */
export class LogTally {
  events = 0;
  readonly seen = new Map<string, number>();
  readonly readings = new Map<string, Reading>();
  readonly listed: ListedEvent[] = [];
  readonly signs = new Map<string, { count: number; last: number }>();
  readonly #uses = new Map<string, Map<string, Uses>>();

  add(event: unknown): void {
    const logged = readLoggedEvent(event);
    this.events += 1;
    if (logged.caller.startsWith('spiffe://')) this.#addCaller(logged);
    if (LISTED.has(logged.type) && this.listed.length < MAX_LISTED) this.listed.push(toListed(logged));
    if (SIGNS.test(logged.type)) {
      const { count = 0, last = 0 } = this.signs.get(logged.type) ?? {};
      this.signs.set(logged.type, { count: count + 1, last: Math.max(last, logged.time) });
    }
  }

  findUses(caller: string, permission: string): Uses | undefined {
    return this.#uses.get(caller)?.get(permission);
  }

  /** Lists the permissions that an identity used or was refused. */
  listPermissions(caller: string): string[] {
    return [...(this.#uses.get(caller)?.keys() ?? [])].sort();
  }

  listEvents(...types: readonly string[]): ListedEvent[] {
    return this.listed.filter(({ type }) => types.includes(type));
  }

  #addCaller({ caller, type, time, facts }: LoggedEvent): void {
    this.seen.set(caller, Math.max(this.seen.get(caller) ?? 0, time));
    const { permission } = facts;
    if (typeof permission === 'string') this.#addUse(caller, permission, type === 'access.denied', time);
    if (type === 'audit.read' || type === 'audit.export') this.#addReading(caller, type, time);
  }

  #addUse(caller: string, permission: string, isRefusal: boolean, time: number): void {
    const all = this.#uses.get(caller) ?? new Map<string, Uses>();
    const uses = all.get(permission) ?? { used: 0, last: 0, refused: 0, lastRefused: 0 };
    if (isRefusal) {
      uses.refused += 1;
      uses.lastRefused = Math.max(uses.lastRefused, time);
    } else {
      uses.used += 1;
      uses.last = Math.max(uses.last, time);
    }
    this.#uses.set(caller, all.set(permission, uses));
  }

  #addReading(caller: string, type: 'audit.read' | 'audit.export', time: number): void {
    const day = toDay(time);
    const key = `${day} ${caller}`;
    const reading = this.readings.get(key) ?? { day, caller, reads: 0, exports: 0, last: 0 };
    reading[type === 'audit.read' ? 'reads' : 'exports'] += 1;
    reading.last = Math.max(reading.last, time);
    this.readings.set(key, reading);
  }
}

/** The day in UTC, such as `2026-11-30`. */
export function toDay(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}

function toListed({ time, type, detail, facts }: LoggedEvent): ListedEvent {
  const shown = SHOWN_FACTS.filter((name) => facts[name] !== undefined).map((name) => [name, facts[name]] as const);
  return { time: new Date(time).toISOString(), type, detail, facts: Object.fromEntries(shown) };
}
