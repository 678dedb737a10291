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
import type { Finding } from '../../src/reconciliation/judge-rows.js';
import type { Ledger } from '../crashes/ledger.js';
import { live } from '../crashes/load.js';

const ROOT = join(import.meta.dirname, '../..');
const CALLERS = 4;
const PATIENCE_MS = 60_000;
const MAX_OUTPUT = 2 ** 26;

const POLICY_MEANWHILE = `version: 1
trustDomain: passkey-manager.local
services:
  - id: spiffe://passkey-manager.local/operator
    permissions: [passkeys:read, passkeys:manage, passkeys:erase, relying-parties:read, relying-parties:write]
  - id: spiffe://passkey-manager.local/auditor
    permissions: [audit:read, audit:export]
`;

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

  /** Starts the service with the access policy of the runbook that lets in operators and auditors alone. */
  startWithoutCallers(databaseUrl: string, env: NodeJS.ProcessEnv): Promise<ServiceProcess> {
    const path = join(this.dataDir, 'policy-meanwhile.yaml');
    writeFileSync(path, POLICY_MEANWHILE);
    return this.start(databaseUrl, { ...env, PASSKEY_ACCESS_POLICY_FILE: path });
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

  /** Exports the whole log. @returns the path of the file */
  async export(service: ServiceProcess): Promise<string> {
    const path = join(this.dataDir, `export-${String((this.exports += 1))}.ndjson`);
    const pki = new Pki(join(this.dataDir, 'pki'));
    const outgoing = request(`${service.url}/v1/audit/export`, { ca: pki.ca, ...pki.certificateOf('auditor') });
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`the export is answered with ${String(answer.statusCode)}`);
    await pipeline(answer, createWriteStream(path));
    return path;
  }

  /**
   * Runs `audit:verify` on a new export of the whole log.
   *
   * @param notes anchored checkpoints
   * @returns the exit code of the command
   */
  async verify(service: ServiceProcess, notes: readonly string[]): Promise<number> {
    const path = await this.export(service);
    writeFileSync(`${path}.notes`, notes.join('\n'));
    return (await runCommand('audit-verify.js', [path, ...this.keyArguments, '--checkpoints', `${path}.notes`])).code;
  }

  /** Runs `reconcile` on a database. @param path an export with events that the database may lack */
  async reconcile(databaseUrl: string, path?: string): Promise<Finding[]> {
    const exported = path === undefined ? [] : ['--export', path, ...this.keyArguments];
    const { code, output } = await runCommand('reconcile.js', ['--json', ...exported], databaseUrl);
    const lines = output.trim().split('\n');
    if (code > 1) throw new Error(`reconcile ended with ${String(code)}: ${output}`);
    return lines.slice(0, -1).map((line) => JSON.parse(line) as Finding);
  }

  /** Runs `revocations` as the operator. @param path the export that tells what to repeat */
  revocations({ url }: ServiceProcess, path: string, ...more: readonly string[]): Promise<Ended> {
    const pki = join(this.dataDir, 'pki');
    const [cert, key, ca] = ['operator.crt', 'operator.key', 'ca.crt'].map((name) => join(pki, name)) as [
      string,
      string,
      string,
    ];
    const caller = ['--url', url, '--cert', cert, '--cert-key', key, '--ca', ca];
    return runCommand('revocations.js', ['--export', path, ...this.keyArguments, ...caller, ...more]);
  }

  private get keyArguments(): string[] {
    return ['--key', join(this.dataDir, 'audit.pub')];
  }
}

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/** Runs a program of the image. */
function runCommand(name: string, args: readonly string[], databaseUrl = ''): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  const env = { PATH: process.env['PATH'], DATABASE_URL: databaseUrl };
  const command = [join('dist/commands', name), ...args];
  execFile(process.execPath, command, { cwd: ROOT, env, maxBuffer: MAX_OUTPUT }, (error, stdout, stderr) => {
    resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
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
  const { status } = await fetch(`${service.managementUrl}/health/ready`);
  if (status !== 503) throw new Error(`the log is not continued, and readiness is ${String(status)}`);
  return [found!.failures.join(), found!.cause?.error ?? ''];
}

async function patiently(otherwise: string, done: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${otherwise} within a minute`);
    await sleep(50);
  }
}
