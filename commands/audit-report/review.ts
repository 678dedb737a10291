import { ExportError, passLines } from '../../src/tlog/lines.js';
import type { VerifierKey } from '../../src/tlog/keys.js';
import { type ProvedExport, verifyExport, type VerifyOptions } from '../../src/tlog/export-verifier.js';
import { type LoggedEvent, readLoggedEvent } from './logged-event.js';
import { HourlyCounts, Tally } from './tally.js';

export interface Outcomes {
  success: number;
  failure: number;
}

/** The number of events, and the times of the first and the last one in milliseconds since 1970. */
export interface Sightings {
  count: number;
  first: number;
  last: number;
}

export interface Readings {
  reads: number;
  exports: number;
  last: number;
}

export interface ModelCounts {
  registered: number;
  revoked: number;
  suspended: number;
}

const MAX_LISTED = 1_000;

const CHANGES: ReadonlySet<string> = new Set([
  ...[
    'policy.reload',
    'trust.reload',
    'metadata.reload',
    'attestation-roots.reload',
    'receipt-keys.reload',
    'signal-keys.reload',
    'signal-push.reload',
    'relying-party.create',
    'relying-party.update',
    'relying-party.seal',
    'relying-party.end',
  ],
  ...['approval.request', 'approval.approve', 'approval.refuse', 'approval.expire', 'user.erase', 'user.revoke'],
  'credential.export',
  ...['signal-stream.create', 'signal-stream.update', 'signal-stream.delete', 'signal-stream.subject'],
  ...['seal-key.add', 'seal-key.rotate', 'seal-key.retire', 'seal-key.force-retire', 'seal-key.end-old-seals'],
  ...['schema.migrate', 'audit.archive', 'audit.rekey', 'audit.restore', 'service.start', 'service.stop'],
]);
const SIGNS: ReadonlySet<string> = new Set([
  'risk.signal',
  'audit.failure',
  'audit.recovery',
  'credential.tampered',
  'user.tampered',
  'relying-party.tampered',
  'approval.tampered',
  'reconciliation.finding',
  'signal-stream.drop',
]);
const CEREMONIES: ReadonlySet<string> = new Set([
  ...['credential.verify', 'confirmation.verify', 'payment.verify', 'credential.register'],
  ...['challenge.issue', 'challenge.limit'],
]);
const startSightings = (): Sightings => ({ count: 0, first: Infinity, last: -Infinity });

/** Collects the answers for the daily review of the log (PCI DSS 4.0.1 10.4.1.1). Memory is bounded. */
export class Review {
  readonly period: { readonly from: number; readonly to: number };
  events = 0;
  outside = 0;
  readonly span = { first: Infinity, last: -Infinity };
  readonly types = new Tally<Outcomes>(() => ({ success: 0, failure: 0 }));
  readonly refusals = new Tally<Sightings>(startSightings);
  readonly denied = new Tally<Sightings>(startSightings);
  readonly handshakes = new Tally<Sightings>(startSightings);
  /** The numbers of refusals that were counted and have no record of their own. */
  unrecordedDenials = 0;
  unrecordedHandshakes = 0;
  readonly readers = new Tally<Readings>(() => ({ reads: 0, exports: 0, last: -Infinity }));
  readonly models = new Tally<ModelCounts>(() => ({ registered: 0, revoked: 0, suspended: 0 }));
  readonly changes = new NewestEvents();
  readonly signs = new NewestEvents();
  readonly hours = new HourlyCounts();

  /** @param period [from, to), in milliseconds since 1970 */
  constructor(period: { readonly from: number; readonly to: number }) {
    this.period = period;
  }

  add(event: LoggedEvent): void {
    const { time, type, success } = event;
    if (!(time >= this.period.from && time < this.period.to)) {
      this.outside += 1;
      return;
    }
    this.events += 1;
    [this.span.first, this.span.last] = [Math.min(this.span.first, time), Math.max(this.span.last, time)];
    this.types.findOrAdd(event.className, type)[success ? 'success' : 'failure'] += 1;
    this.#countHour(event);
    if (CHANGES.has(type)) this.changes.add(event);
    if (SIGNS.has(type)) this.signs.add(event);
    if (CEREMONIES.has(type) && !success) addSighting(this.refusals.findOrAdd(type, event.reason), time);
    if (type === 'access.denied') this.#countDenial(event);
    if (type === 'handshake.refused') this.#countHandshake(event);
    if (type === 'audit.read' || type === 'audit.export') this.#countReading(event);
    this.#countModel(event);
  }

  getOutcomes(className: string, type: string): Readonly<Outcomes> {
    return this.types.find(className, type) ?? { success: 0, failure: 0 };
  }

  #countHour({ time, type, success }: LoggedEvent): void {
    const hour = this.hours.findOrAdd(time);
    if (!hour) return;
    hour.events += 1;
    if (type === 'credential.verify') hour[success ? 'accepted' : 'refused'] += 1;
  }

  #countDenial({ caller, reason, time, facts }: LoggedEvent): void {
    addSighting(this.denied.findOrAdd(caller, reason), time);
    this.unrecordedDenials += readUnrecorded(facts);
  }

  #countHandshake({ address, reason, time, facts }: LoggedEvent): void {
    addSighting(this.handshakes.findOrAdd(address, reason), time);
    this.unrecordedHandshakes += readUnrecorded(facts);
  }

  #countReading({ caller, type, time }: LoggedEvent): void {
    const reader = this.readers.findOrAdd(caller);
    reader[type === 'audit.read' ? 'reads' : 'exports'] += 1;
    reader.last = Math.max(reader.last, time);
  }

  #countModel({ type, success, facts }: LoggedEvent): void {
    if (!success) return;
    const model = (): ModelCounts => this.models.findOrAdd(typeof facts['aaguid'] === 'string' ? facts['aaguid'] : '');
    if (type === 'credential.register') model().registered += 1;
    if (type === 'credential.revoke') model().revoked += 1;
    if (type === 'credential.suspend') model().suspended += 1;
  }
}

function readUnrecorded({ refused_before_unrecorded: before }: LoggedEvent['facts']): number {
  return typeof before === 'number' ? before : 0;
}

/** Counts events and keeps the newest of them, for types with few events. */
export class NewestEvents {
  count = 0;
  failures = 0;
  readonly events: LoggedEvent[] = [];

  add(event: LoggedEvent): void {
    this.count += 1;
    if (!event.success) this.failures += 1;
    this.events.push(event);
    if (this.events.length >= 2 * MAX_LISTED) this.events.splice(0, MAX_LISTED);
  }

  /** The newest events, the oldest of them first. */
  get newest(): readonly LoggedEvent[] {
    return this.events.slice(-MAX_LISTED);
  }
}

function addSighting(seen: Sightings, time: number): void {
  seen.count += 1;
  [seen.first, seen.last] = [Math.min(seen.first, time), Math.max(seen.last, time)];
}

/**
 * Reviews and verifies an export in one reading, so the review covers exactly the bytes that are verified.
 *
 * @param keys undefined to review without verification
 * @returns the facts that the export proves; undefined without keys
 * @throws ExportError
 */
export async function reviewExport(
  chunks: AsyncIterable<Uint8Array>,
  review: Review,
  keys?: readonly VerifierKey[],
  options: VerifyOptions = {},
): Promise<ProvedExport | undefined> {
  const reviewed = passLines(chunks, (text, number) => {
    const event = parseLoggedEvent(text, number);
    if (event !== undefined) review.add(readLoggedEvent(event));
  });
  if (keys) return verifyExport(reviewed, keys, options);
  for await (const chunk of reviewed) options.onProgress?.(chunk.length, review.events);
  return undefined;
}

/** @returns undefined when the line is not an event. @throws ExportError when it is not JSON */
function parseLoggedEvent(text: string, number: number): unknown {
  try {
    const line = JSON.parse(text) as { kind?: unknown; event?: unknown } | null;
    return line?.kind === 'event' ? line.event : undefined;
  } catch {
    throw new ExportError('is not JSON', number);
  }
}
