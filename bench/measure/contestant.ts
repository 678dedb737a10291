import { mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Checkout, HERE } from '../contenders/checkout.js';
import { type Contender, type Running, type Site as ContenderSite } from '../contenders/contender.js';
import { contenderOf } from '../contenders/contenders.js';
import type { Load } from '../load/generator.js';
import { GeneratorProcess } from '../load/generator-process.js';
import type { Scenario } from '../load/scenarios.js';
import type { Observed } from '../load/tally.js';
import type { Database } from './database.js';
import { cpuSeconds, memory } from './processes.js';
import type { Storage } from './storage.js';

interface Site extends ContenderSite {
  readonly as: string;
}

/** Milliseconds of load before a window opens, in which queues fill and pools connect. */
const LEAD = 500;

/** The results of one run of one contender. */
export interface Measured extends Observed {
  readonly perSecond: number;
  /** CPU milliseconds for an operation. */
  readonly cpu: Groups;
  /** Busy cores, on average. */
  readonly busy: Groups;
  /** MiB: resident for the contender; for the database, shared memory counts once. */
  readonly memory: { readonly service: number; readonly database: number };
  /** Absent where it was not measured. */
  readonly storage?: Storage;
}

export interface Groups {
  readonly service: number;
  readonly database: number;
  readonly generator: number;
}

/** The options of a contestant's start. */
export interface Start {
  readonly directory: string;
  readonly users: number;
  readonly nodeOptions?: string[];
  /** The checkout whose build runs; this one unless given. */
  readonly checkout?: Checkout;
  /** The name of this contestant, if one contender has several. */
  readonly as?: string;
  /** Prepares its directory and its database before its start. @returns the file of the loaded population */
  readonly load?: (site: { directory: string; databaseUrl: string }) => Promise<string>;
}

/** A running contender with its database and its generator. */
export class Contestant {
  /** Its name in the table. */
  readonly name: string;
  readonly contender: Contender;
  readonly running: Running;
  readonly site: Site;
  private readonly generator: GeneratorProcess;
  private readonly database: Database;

  private constructor(name: string, site: Site, running: Running, generator: GeneratorProcess, database: Database) {
    this.name = site.as;
    this.contender = contenderOf(name);
    this.site = site;
    this.running = running;
    this.generator = generator;
    this.database = database;
  }

  static async start(name: string, database: Database, start: Start): Promise<Contestant> {
    const { as = name, load, users, checkout = HERE } = start;
    const directory = join(start.directory, as);
    mkdirSync(directory);
    const databaseUrl = await database.create(as);
    const loaded = await load?.({ directory, databaseUrl });
    const site = { as, directory, databaseUrl, users, checkout, nodeOptions: start.nodeOptions ?? [] };
    const running = await contenderOf(name).start(site);
    return new Contestant(name, site, running, new GeneratorProcess(name, running.target, loaded ?? users), database);
  }

  /** Registers the users. */
  async enrol(): Promise<void> {
    await this.generator.enrol();
  }

  /** @param during further work, which begins with the window; the window does not wait for its end */
  async measure(scenario: Scenario, load: Load, seconds: number, during?: () => unknown): Promise<Measured> {
    await this.generator.connect(load);
    const length = seconds * 1_000;
    const observing = this.generator.run({ scenario, load, lead: LEAD, length });
    await Promise.race([observing, sleep(LEAD)]);
    const before = this.cpu();
    during?.();
    await Promise.race([observing, sleep(length)]);
    const after = this.cpu();
    const used = after.map((value, group) => value - before[group]!);
    const observed = await observing;
    truncateSync(this.running.server.log);
    return {
      ...observed,
      perSecond: observed.completed / seconds,
      cpu: groups(used.map((value) => (value * 1_000) / observed.completed)),
      busy: groups(used.map((value) => value / seconds)),
      memory: {
        service: memory(this.running.server.pid, 'Rss'),
        database: memory(this.database.postmaster, 'Pss'),
      },
    };
  }

  async stop(): Promise<void> {
    this.generator.stop();
    await this.running.server.stop();
  }

  private cpu(): number[] {
    return cpuSeconds([this.running.server.pid, this.database.postmaster, this.generator.pid]);
  }
}

function groups([service = NaN, database = NaN, generator = NaN]: number[]): Groups {
  return { service, database, generator };
}
