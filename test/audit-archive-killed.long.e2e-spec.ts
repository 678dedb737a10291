import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { AuditService } from '../src/audit/audit.service.js';
import { CheckpointScheduler } from '../src/audit-log/checkpoint-scheduler.js';
import { LogProofs } from '../src/audit-log/log-proofs.js';
import { LogPartitions } from '../src/audit-log/log-partitions.js';
import { PendingEventsRepository } from '../src/audit-log/pending-events.repository.js';
import { parseVerifierKeys } from '../src/tlog/keys.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { insertEvents } from './support/insert-events.js';
import { TestService } from './support/service.js';

const YEAR_S = 365 * 86_400;
const EVENTS = 8_000;
const of = <T>(type: abstract new (...args: never[]) => T): T => service.running.app.get(type, { strict: false });

let service: TestService;
let directory: string;
beforeAll(async () => {
  [service, directory] = await Promise.all([TestService.start(), mkdtemp(join(tmpdir(), 'passkey-archive-'))]);
  await writeFile(join(directory, 'audit.pub'), of(LogProofs).verifierKeys);
  const now = service.clock.now();
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth()));
  await insertEvents(of(DataSource), of(AuditService), 'attestation-roots.reload', month, EVENTS);
  await settle();
  service.clock.advance(YEAR_S);
  await settle();
});
afterAll(async () => {
  await service.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Waits until every event is sequenced, including those that report how long that took. */
async function settle(): Promise<void> {
  await of(LogPartitions).make();
  for (let calm = 0; calm < 3; calm += 1) {
    await of(CheckpointScheduler).tick();
    if ((await of(PendingEventsRepository).findOldest()) !== undefined) calm = 0;
    service.clock.advance(1);
  }
}

interface Ended {
  readonly code: number | null;
  readonly told: string;
}

/** Runs the command a year later, once every event is sequenced. @returns its output and its exit */
async function archive(args: string[], killAfterMs?: number): Promise<Ended> {
  const ended = await run(args, killAfterMs);
  if (!ended.told.includes('are not sequenced yet')) return ended;
  await settle();
  return archive(args, killAfterMs);
}

/** Adds the options that the test does not give itself. */
function run(args: string[], killAfterMs?: number): Promise<Ended> {
  const before = new Date(service.clock.now().getTime() - 120 * 86_400_000).toISOString().slice(0, 10);
  const later = `const N=Date;globalThis.Date=class extends N{constructor(...a){a.length?super(...a):super(N.now()+${String(YEAR_S * 1_000)})}}`;
  const usual = { '--before': before, '--key': join(directory, 'audit.pub'), '--to': join(directory, 'archive') };
  const child = spawn(
    process.execPath,
    [
      ...[
        '--disable-warning=ExperimentalWarning',
        '--import',
        `data:text/javascript,${encodeURIComponent(later)}`,
        'dist/commands/audit-archive.js',
      ],
      ...Object.entries(usual).flatMap(([name, value]) => (args.includes(name) ? [] : [name, value])),
      ...args,
    ],
    { env: { ...process.env, DATABASE_URL: service.database.migratorUrl }, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  let told = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (told += chunk.toString()));
  return new Promise((resolve) =>
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, told });
    }),
  );
}

const left = async (): Promise<number> =>
  (
    await service.sql<{ n: number }>(
      "SELECT count(*)::integer AS n FROM audit_event WHERE type = 'attestation-roots.reload'",
    )
  )[0]!.n;

describe('the archiving of a month', () => {
  it('loses nothing whenever it is killed, and the next run goes on', async () => {
    const { told: planned } = await archive(['--dry-run']);
    expect(planned).toMatch(
      /audit_event_initial: [\d,]+ events, leaves \[0, \d+\) would go to .*-until-\d{4}-\d\d\.ndjson/,
    );
    expect(await left()).toBe(EVENTS);
    let [killed, last] = [0, await archive([], 300)];
    for (let delay = 400; last.code !== 0; delay *= 1.3) {
      killed += 1;
      const files = await readdir(join(directory, 'archive')).catch(() => []);
      expect((await left()) === EVENTS || files.some((name) => name.endsWith('.ndjson'))).toBe(true);
      last = await archive([], delay);
    }
    expect(killed).toBeGreaterThan(1);
    expect(await left()).toBe(0);
    await demandWhole();
  });

  it('does nothing when it is run again', async () => {
    expect(await archive([])).toEqual({ code: 0, told: 'No month to archive.\n' });
  });

  it('names the arguments that it needs', async () => {
    expect(await archive(['--unknown'])).toMatchObject({
      code: 2,
      told: expect.stringMatching(/usage: npm run audit:archive/),
    });
    expect(await archive(['--before', '2999-01-01'])).toMatchObject({
      code: 2,
      told: expect.stringMatching(/PCI DSS 10\.5\.1/),
    });
    expect(await archive(['--key', 'nowhere'])).toMatchObject({
      code: 2,
      told: 'nowhere: open failed, it does not exist.\n',
    });
  });
});

async function demandWhole(): Promise<void> {
  const place = join(directory, 'archive');
  const files = (await readdir(place)).filter((name) => name.includes('-until-')).sort();
  expect(files.map((name) => name.replace(/^.*\./, ''))).toEqual(['checkpoint', 'ndjson', 'pub']);
  const keys = parseVerifierKeys(await readFile(join(place, files[2]!), 'utf8'));
  const proved = await verifyExport(createReadStream(join(place, files[1]!)), keys);
  expect(proved.events).toBeGreaterThanOrEqual(EVENTS);
  expect(proved.erased).toBe(0);
}
