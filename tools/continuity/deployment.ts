import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, createWriteStream, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { readNotes } from '../../src/tlog/checkpoint-trail.js';
import { Pki } from '../../test/support/pki.js';
import { ServiceProcess } from '../../test/support/service-process.js';
import type { Server } from './postgres.js';
import type { Ledger } from '../crashes/ledger.js';
import { live } from '../crashes/load.js';

const ROOT = join(import.meta.dirname, '../..');
const CALLERS = 4;
const PATIENCE_MS = 60_000;

/** What readiness says about the log. */
export interface LogReadiness {
  readonly size: number;
  readonly lagSeconds: number;
  readonly failures: readonly string[];
  readonly cause?: { readonly error?: string };
}

/** The keys, certificates and anchored checkpoints of one deployment, which outlive its database. */
export class Deployment {
  readonly dataDir: string;
  /** Every service that was started, so that all of them can be stopped. */
  private readonly services: ServiceProcess[] = [];
  private exports = 0;

  constructor(dataDir: string) {
    mkdirSync(dataDir);
    this.dataDir = dataDir;
  }

  /** The file to which the service appends its checkpoints. */
  get anchorFile(): string {
    return join(this.dataDir, 'anchors');
  }

  /** Starts the service as its own role, with the settings of production that matter here. */
  async start(databaseUrl: string, env: NodeJS.ProcessEnv = {}): Promise<ServiceProcess> {
    const anchored = { PASSKEY_AUDIT_ANCHOR_FILE: this.anchorFile, ...env };
    const service = await ServiceProcess.start(this.dataDir, databaseUrl, anchored);
    this.services.push(service);
    return service;
  }

  async stop(): Promise<void> {
    await Promise.all(this.services.map((service) => service.kill()));
  }

  /** The anchored checkpoints, oldest first. */
  async readAnchors(): Promise<string[]> {
    if (!existsSync(this.anchorFile)) return [];
    const notes: string[] = [];
    for await (const note of readNotes(createReadStream(this.anchorFile))) notes.push(note);
    return notes;
  }

  /** Waits until every event is in an anchored checkpoint. */
  async untilAnchored(server: Server): Promise<void> {
    await patiently('an event is not anchored', async () => {
      const [head] = await server.sql<{ size: string; pending: boolean }>(
        `SELECT coalesce(max(size), 0)::text AS size, EXISTS (SELECT FROM audit_pending) AS pending FROM audit_checkpoint`,
      );
      const last = (await this.readAnchors()).at(-1);
      return head?.pending === false && last?.split('\n')[1] === head.size;
    });
  }

  /**
   * Exports the whole log and runs `audit:verify` on it.
   *
   * @param notes anchored checkpoints
   * @returns the exit code of the command
   */
  async verify(service: ServiceProcess, notes: readonly string[]): Promise<number> {
    const name = join(this.dataDir, `export-${String((this.exports += 1))}`);
    const pki = new Pki(join(this.dataDir, 'pki'));
    const outgoing = request(`${service.url}/v1/audit/export`, { ca: pki.ca, ...pki.certificateOf('auditor') });
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`the export is answered with ${String(answer.statusCode)}`);
    await pipeline(answer, createWriteStream(`${name}.ndjson`));
    writeFileSync(`${name}.notes`, notes.join('\n'));
    const files = [`${name}.ndjson`, '--key', join(this.dataDir, 'audit.pub'), '--checkpoints', `${name}.notes`];
    return runCommand('audit-verify.js', files);
  }
}

/** Runs a program of the image. @returns its exit code */
function runCommand(name: string, args: readonly string[]): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const env = { PATH: process.env['PATH'] };
  execFile(process.execPath, [join('dist/commands', name), ...args], { cwd: ROOT, env }, (error) => {
    resolve(error ? Number(error.code) : 0);
  });
  return promise;
}

/** Signs in, registers and changes passkeys all the time while `work` runs. Every request is answered or counted. */
export async function underLoad(service: ServiceProcess, ledger: Ledger, work: () => Promise<void>): Promise<void> {
  const load = new AbortController();
  const callers = Array.from({ length: CALLERS }, () => live(service, ledger, load.signal));
  try {
    await work();
  } finally {
    load.abort();
    await Promise.all(callers);
  }
}

/** Waits until so many more changes are acknowledged. */
export async function acknowledged(ledger: Ledger, more: number): Promise<void> {
  const enough = ledger.acknowledged + more;
  await patiently('the load makes no progress', () => Promise.resolve(ledger.acknowledged >= enough));
}

export async function readLog({ managementUrl }: ServiceProcess): Promise<LogReadiness> {
  const health = (await (await fetch(`${managementUrl}/health/ready`)).json()) as { details: { audit: LogReadiness } };
  return health.details.audit;
}

/** Waits until the service has sequenced every event. */
export async function untilLogContinues(service: ServiceProcess): Promise<void> {
  await patiently('the log is not continued', async () => {
    const { size, failures, lagSeconds } = await readLog(service);
    return size > 0 && failures.length === 0 && lagSeconds === 0;
  });
}

/** Waits until the service refuses to continue the log. @returns the failure and its text */
export async function untilLogFails(service: ServiceProcess): Promise<[failure: string, error: string]> {
  let found: LogReadiness | undefined;
  await patiently('the log is continued, and should not be', async () => {
    found = await readLog(service);
    return found.failures.some((failure) => failure.startsWith('log-'));
  });
  return [found!.failures.join(), found!.cause?.error ?? ''];
}

async function patiently(otherwise: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${otherwise} within a minute`);
    await sleep(50);
  }
}
