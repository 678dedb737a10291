/**
 * A service reduced to its embedded database, as a process of its own:
 * node --import ./test/support/typescript-resolution.mjs ./test/support/embedded-service.ts DIRECTORY
 *
 * It prints the database's URL and the migrator's URL. SIGINT and SIGTERM end it as they end the service: it first answers the
 * requests in flight from the database, which takes 300 ms, then prints `drained` and ends the server.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../dev/embedded-postgres/embedded-postgres.js';

const { migratorUrl: url, stop } = await startEmbeddedPostgres({ directory: process.argv[2] ?? '' });
// The server may be killed, and comes back.
const requests = new pg.Pool({ connectionString: url, max: 1 }).on('error', () => undefined);
const running = setInterval(() => undefined, 60_000);

async function drain(): Promise<void> {
  await sleep(300);
  await requests.query('SELECT 1');
  await requests.end();
  clearInterval(running);
  console.log('drained');
  await stop();
}

process.once('SIGINT', () => void drain()).once('SIGTERM', () => void drain());
console.log(url);
