import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { parseVerifierKeys } from '../../src/tlog/keys.js';
import { type ProvedExport, verifyExport } from '../../src/tlog/export-verifier.js';
import type { Pki } from '../../test/support/pki.js';
import type { ServiceProcess } from '../../test/support/service-process.js';

const PATIENCE_MS = 30_000;

/** Waits until every event is sequenced. */
export async function sequenced(database: pg.Pool): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const { rowCount } = await database.query(
      `SELECT FROM audit_event e WHERE NOT EXISTS (SELECT FROM audit_leaf WHERE event_id = e.id) LIMIT 1`,
    );
    if (rowCount === 0) return;
    if (performance.now() > deadline) throw new Error('events are still pending after 30 s');
    await sleep(200);
  }
}

/** Exports the whole log and verifies it against every checkpoint that the service answered. @throws ExportError */
export async function verifyLog(service: ServiceProcess, pki: Pki, seen: readonly string[]): Promise<ProvedExport> {
  const keys = parseVerifierKeys((await service.client.call<string>('auditor', 'GET', '/v1/audit/key')).body);
  const outgoing = request(`${service.url}/v1/audit/export`, { ca: pki.ca, ...pki.certificateOf('auditor') });
  outgoing.end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return verifyExport(answer, keys, { anchored: [Readable.from(seen)], retainedSince: new Date(0) });
}
