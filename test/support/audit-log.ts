import type { AuditEvent, Page } from './bodies.js';
import { requireStatus } from './ceremonies.js';
import type { Answer, Client } from './client.js';

/**
 * The events about the log itself: reads of it, late events, which appear when a test turns the clock, and findings about
 * rows that a test changes by SQL, which appear when the walk through all rows comes to them.
 */
const OF_ITSELF = ['audit.read', 'audit.failure', 'audit.recovery', 'reconciliation.finding'];

/** The audit log as an auditor reads it. */
export class AuditLog {
  constructor(private readonly client: Client) {}

  readPage(query: Record<string, string | number> = {}): Promise<Answer<Page<AuditEvent>>> {
    const parameters = new URLSearchParams(Object.entries(query).map(([name, value]) => [name, String(value)]));
    return this.client.call('auditor', 'GET', `/v1/audit/events?${parameters.toString()}`);
  }

  /** Lists events, newest first. It omits the events about the log itself unless the query asks for their type. */
  async events(query: Record<string, string | number> = {}): Promise<AuditEvent[]> {
    const { data } = requireStatus(await this.readPage({ limit: 200, ...query }), 200);
    return data.filter(
      ({ metadata: { event_code: code } }) => code === query['type'] || !OF_ITSELF.includes(code ?? ''),
    );
  }

  /** Returns the events that were recorded while `act` ran, oldest first. */
  async collectDuring(act: () => Promise<unknown>): Promise<AuditEvent[]> {
    const before = new Set((await this.events()).map(({ metadata }) => metadata.uid));
    await act();
    return (await this.events()).filter(({ metadata }) => !before.has(metadata.uid)).reverse();
  }
}
