import { mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Contender, type Running } from '../contenders/contender.js';
import { contenderOf } from '../contenders/contenders.js';
import type { Load } from '../load/generator.js';
import { GeneratorProcess } from '../load/generator-process.js';
import type { Scenario } from '../load/scenarios.js';
import type { Observed } from '../load/tally.js';
import type { Database } from './database.js';
import { cpuSeconds, memory } from './processes.js';

/** Milliseconds of load before a window opens, in which queues fill and pools connect. */
const LEAD = 500;

/** What one run has shown of one contender. */
export interface Measured extends Observed {
  readonly perSecond: number;
  /** Milliseconds of CPU for an operation. */
  readonly cpu: Groups;
  /** Cores that were busy, on average. */
  readonly busy: Groups;
  /** MiB: of the contender resident; of the database, what is shared counted once. */
  readonly memory: { readonly service: number; readonly database: number };
}

export interface Groups {
  readonly service: number;
  readonly database: number;
  readonly generator: number;
}

/** A contender that runs, with its database and its generator. */
export class Contestant {
  readonly name: string;
  readonly contender: Contender;
  readonly running: Running;
  private readonly generator: GeneratorProcess;
  private readonly database: Database;

  private constructor(name: string, running: Running, generator: GeneratorProcess, database: Database) {
    this.name = name;
    this.contender = contenderOf(name);
    this.running = running;
    this.generator = generator;
    this.database = database;
  }

  static async start(
    name: string,
    database: Database,
    site: { directory: string; users: number; nodeOptions?: string[] },
  ): Promise<Contestant> {
    const directory = join(site.directory, name);
    mkdirSync(directory);
    const databaseUrl = await database.create(name);
    const running = await contenderOf(name).start({ nodeOptions: [], ...site, directory, databaseUrl });
    return new Contestant(name, running, new GeneratorProcess(name, running.target, site.users), database);
  }

  /** Registers the users. */
  async enrol(): Promise<void> {
    await this.generator.enrol();
  }

  /** @param during what else happens in the window: it begins with the window, and the window does not wait for it */
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
