import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import type { Finding } from '../../src/reconciliation/judge-rows.js';
import { parseCheckpoint } from '../../src/tlog/checkpoint.js';
import { parseNote } from '../../src/tlog/signed-note.js';
import type { AuditEvent, Page } from '../../test/support/bodies.js';
import { requireStatus } from '../../test/support/ceremonies.js';
import type { ServiceProcess } from '../../test/support/service-process.js';
import { Ledger } from '../crashes/ledger.js';
import { sequenced } from '../crashes/log-check.js';
import { reconcile } from '../crashes/reconcile.js';
import { acknowledged, Deployment, underLoad, untilLogContinues, untilLogFails } from './deployment.js';
import { type Programs, Server } from './postgres.js';
import { Witness } from './witness.js';

/** What a procedure ended in, by the columns of the table. */
export interface Outcome {
  /** The acknowledged changes of before the cut. */
  readonly before: string;
  /** The acknowledged changes of after the cut. */
  readonly after: string;
  readonly log: string;
  /** The exit codes of `audit:verify`. */
  readonly verify: string;
  /** An accepted answer that is sent once more. */
  readonly replay: string;
  readonly revoked: string;
  /** What `npm run reconcile` says. */
  readonly reconcile: string;
}

/** What the runbook says of a procedure that loses nothing. */
export const WHOLE: Outcome = {
  before: 'kept',
  after: 'kept',
  log: 'continues',
  verify: '0',
  replay: 'refused',
  revoked: 'revoked',
  reconcile: 'no finding',
};

/** What the runbook says of a procedure that goes back to an older state. */
export const OLDER: Outcome = {
  before: 'kept',
  after: 'lost',
  log: 'log-truncated, continues after audit.restore',
  verify: '3, then 1; 0 without the lost part',
  replay: 'accepted; refused after a new challenge key',
  revoked: 'active again; revoked after npm run revocations',
  reconcile: 'names what is back and what is missing',
};

/** The number of acknowledged changes in each stretch of load. */
const STRETCH = 25;
const QUOTED_CHECKPOINT = /"(\d+ [A-Za-z0-9+/=]+)"/;

/** A step that a procedure has taken. */
export interface Step {
  readonly title: string;
  readonly seconds: number;
  /** What came of it. */
  readonly told: string;
}

/** One run of one procedure, with servers, keys and callers of its own. */
export class Trial {
  readonly deployment: Deployment;
  /** Changes before the cut, and after it. */
  readonly before = new Ledger();
  readonly after = new Ledger();
  readonly witness = new Witness();
  readonly programs: Programs;
  readonly directory: string;
  private readonly servers: Server[] = [];
  /** An export of everything that the old database had. */
  private lastExport: string | undefined;
  private readonly onStep: (step: Step) => void;

  /** @param directory one that the account of the server can reach */
  constructor(programs: Programs, directory: string, onStep: (step: Step) => void = () => undefined) {
    this.programs = programs;
    this.onStep = onStep;
    this.directory = directory;
    mkdirSync(directory, { mode: 0o711 });
    this.deployment = new Deployment(join(directory, 'service'));
  }

  /** Keeps a server, so that the trial ends it. */
  async keep(server: Promise<Server>): Promise<Server> {
    const kept = await server;
    this.servers.push(kept);
    return kept;
  }

  /** Takes a step of the procedure, and tells what came of it. */
  async step<Result>(
    title: string,
    work: () => Promise<Result>,
    tell: (result: Result) => string = () => 'done',
  ): Promise<Result> {
    const began = performance.now();
    const result = await work();
    this.onStep({ title, seconds: (performance.now() - began) / 1_000, told: tell(result) });
    return result;
  }

  home(name: string): string {
    return join(this.directory, name);
  }

  /** Makes a server with the schema of this version. */
  async createServer(settings: readonly string[] = []): Promise<Server> {
    const server = await this.keep(Server.create(this.programs, this.home('old'), settings));
    await server.prepare();
    await server.migrate();
    return server;
  }

  async stop(): Promise<void> {
    await this.deployment.stop();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  /** A stretch of load before the cut. */
  async loadBefore(server: Server, service: ServiceProcess, meanwhile = async (): Promise<void> => {}): Promise<void> {
    await this.witness.prepare(service);
    await underLoad(service, this.before, async () => {
      await acknowledged(this.before, STRETCH);
      await meanwhile();
    });
    await this.deployment.untilAnchored(server);
  }

  /** A stretch of load after the cut. @param cut made under load, before the changes of the witness */
  async loadAfter(server: Server, service: ServiceProcess, cut = async (): Promise<void> => {}): Promise<void> {
    await underLoad(service, this.after, async () => {
      await cut();
      await this.witness.change(service);
      await acknowledged(this.after, STRETCH);
    });
    await this.deployment.untilAnchored(server);
    this.lastExport = await this.deployment.export(service);
  }

  /** A stretch of load that goes on while the service or its database is replaced. */
  async loadThroughout(service: ServiceProcess, replace: () => Promise<void>): Promise<void> {
    await underLoad(service, this.after, async () => {
      await this.witness.change(service);
      await acknowledged(this.after, STRETCH);
      await replace();
    });
  }

  /** Waits until callers are answered again after an interruption. */
  async answersAgain(): Promise<void> {
    await acknowledged(this.after, STRETCH);
  }

  /** Examines a database that should have everything. @param notes anchored before the cut */
  async examineWhole(server: Server, service: ServiceProcess, notes: readonly string[]): Promise<Outcome> {
    const replay = await this.witness.replay(service);
    const { revoked, registered } = await this.witness.look(service);
    await this.witness.signIn(service);
    await untilLogContinues(service);
    const faults = await this.compare(server, [this.before, this.after]);
    return {
      before: faults[0] ?? 'kept',
      after: registered === 'there' ? (faults[0] ?? 'kept') : 'lost',
      log: 'continues',
      verify: String(await this.deployment.verify(service, notes)),
      replay,
      revoked,
      reconcile: describeFindings(await this.deployment.reconcile(server.url('passkey_manager'))),
    };
  }

  /** Examines a database that lacks the changes after the cut, and goes on with it as the runbook says. */
  async examineOlder(server: Server): Promise<Outcome> {
    const { deployment, witness } = this;
    const [notes, url] = [await deployment.readAnchors(), server.url('passkey_manager')];
    const refusing = await this.step('Start with the anchor file', () => deployment.start(url));
    const [failure, error] = await this.step(
      'Read why the log is not continued',
      () => untilLogFails(refusing),
      ([, why]) => `not ready: ${why}`,
    );
    const replay = await this.step(
      'Send an answer that was accepted before once more',
      () => witness.replay(refusing),
      (outcome) => `${outcome}, as the old challenge key is in place`,
    );
    const refused = await deployment.verify(refusing, notes);
    await refusing.stop();
    // The operator gives the lost part up, and puts a new challenge key in place.
    const newKey = { PASSKEY_CHALLENGE_KEYS_FILE: this.home('challenge.keys') };
    writeFileSync(newKey.PASSKEY_CHALLENGE_KEYS_FILE, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
    const lost = QUOTED_CHECKPOINT.exec(error)?.[1] ?? '';
    const deciding = await this.step(
      'Start with a new challenge key and PASSKEY_AUDIT_LOST_CHECKPOINTS',
      async () => {
        const service = await deployment.start(url, { ...newKey, PASSKEY_AUDIT_LOST_CHECKPOINTS: lost });
        await untilLogContinues(service);
        return service;
      },
      () => `the log is continued, without the checkpoint ${lost}`,
    );
    const restored = await readRestored(deciding, lost);
    const afterNewKey = await this.step('Send such an answer again', () => witness.replay(deciding), String);
    const { revoked, registered } = await witness.look(deciding);
    const findings = await this.step(
      'npm run reconcile against the newest export',
      () => deployment.reconcile(url, this.lastExport),
      countFindings,
    );
    await deciding.stop();
    await this.repeatRevocations(url, newKey);
    // The decision is in the log, and the setting can go.
    const service = await deployment.start(url, newKey);
    await this.step('Let callers in: sign in and register', () => witness.signIn(service));
    await untilLogContinues(service);
    const { revoked: afterRepeat } = await witness.look(service);
    const faults = await this.step(
      'Compare every row with its events, and what was acknowledged before the cut with both',
      () => this.compare(server, [this.before]),
      ([fault]) => fault ?? `all ${String(this.before.acknowledged)} changes of before are there`,
    );
    const kept = notes.filter((note) => parseCheckpoint(parseNote(note).text).size <= (restored ?? 0));
    const whole = await deployment.verify(service, notes);
    const withoutLost = await this.step(
      `Verify a new export against the anchored checkpoints of up to ${String(restored)} leaves`,
      () => deployment.verify(service, kept),
      (code) => `audit:verify ends with ${String(code)} for ${String(kept.length)} checkpoints`,
    );
    return {
      before: faults[0] ?? 'kept',
      after: registered === 'gone' && (await this.compare(server, [this.after])).length > 0 ? 'lost' : 'kept',
      log: `${failure}, ${restored === undefined ? 'continues' : 'continues after audit.restore'}`,
      verify: `${String(refused)}, then ${String(whole)}; ${String(withoutLost)} without the lost part`,
      replay: `${replay}; ${afterNewKey} after a new challenge key`,
      revoked: `${revoked === 'active' ? 'active again' : revoked}; ${afterRepeat} after npm run revocations`,
      reconcile: witness.isNamedIn(findings) ? OLDER.reconcile : describeFindings(findings),
    };
  }

  /** Repeats what the database lost while callers are kept out. A second run must have nothing to do. */
  private async repeatRevocations(databaseUrl: string, env: NodeJS.ProcessEnv): Promise<void> {
    const { deployment, witness } = this;
    const service = await this.step(
      'Start with an access policy that keeps auth-service out',
      () => deployment.startWithoutCallers(databaseUrl, env),
      () => 'auth-service is denied',
    );
    if (await witness.isLetIn(service)) throw new Error('auth-service is not kept out');
    const exported = this.lastExport!;
    const tellLast = ({ output }: { output: string }): string => output.trim().split('\n').at(-1) ?? '';
    await this.step(
      'npm run revocations -- --dry-run',
      () => deployment.revocations(service, exported, '--dry-run'),
      tellLast,
    );
    const { code } = await this.step('npm run revocations', () => deployment.revocations(service, exported), tellLast);
    const again = await this.step(
      'npm run revocations again',
      () => deployment.revocations(service, exported),
      tellLast,
    );
    if (code !== 0 || again.code !== 0 || again.output.includes('changed'))
      throw new Error(`revocations ended with ${String(code)} and ${String(again.code)}: ${again.output}`);
    await service.stop();
  }

  /** Compares every row with its events, and the acknowledged changes with both. @returns the contradictions */
  private async compare(server: Server, ledgers: readonly Ledger[]): Promise<string[]> {
    const database = new pg.Pool({ connectionString: server.url('postgres'), max: 1 }).on('error', () => undefined);
    try {
      await sequenced(database);
      const lives = ledgers.flatMap((ledger) => ledger.lives);
      return [...ledgers.flatMap(({ faults }) => faults), ...(await reconcile(database, lives))];
    } finally {
      await database.end();
    }
  }
}

/** Returns the number of leaves from which the log says that it continued; undefined if it does not say so. */
async function readRestored({ client }: ServiceProcess, lost: string): Promise<number | undefined> {
  const path = '/v1/audit/events?type=audit.restore';
  const { data } = requireStatus(await client.call<Page<AuditEvent>>('auditor', 'GET', path), 200);
  const facts = data.map(({ unmapped }) => unmapped as Record<string, string | null>);
  const told = facts.find(({ lost_checkpoint }) => lost_checkpoint === lost);
  return told && Number.parseInt(told['continued_checkpoint'] ?? '0', 10);
}

/** Counts findings by their kind. */
function countFindings(findings: readonly Finding[]): string {
  const kinds = Object.entries(Object.groupBy(findings, ({ kind }) => kind));
  return kinds.map(([kind, found]) => `${String(found.length)} ${kind}`).join(', ') || 'no finding';
}

function describeFindings(findings: readonly Finding[]): string {
  return findings.length === 0 ? 'no finding' : findings.map(({ kind, subject }) => `${kind} ${subject}`).join();
}
