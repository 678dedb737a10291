import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HERE } from '../contenders/checkout.js';
import { service } from '../contenders/service.js';
import { Contestant } from '../measure/contestant.js';
import type { Database } from '../measure/database.js';
import { load } from './load.js';
import { newPopulation, type Population, SMALL_RP_ID } from './population.js';
import { type Template, writtenTemplates } from './templates.js';

const YEAR_MS = 365 * 24 * 3_600_000;

/** The service with a population of its own. */
export interface Grown {
  readonly population: Population;
  readonly contestant: Contestant;
  /** Seconds of the loading. */
  readonly loadSeconds: number;
}

/** The auditor of the small relying party alone. */
const LIMITED_AUDITOR = `  - id: spiffe://passkey-manager.local/stranger
    permissions: [audit:read]
    relyingParties: [${SMALL_RP_ID}]
`;

/** Lets the service write one event of each kind, in a database that the end of the run drops. */
export async function makeTemplates(database: Database, directory: string): Promise<Template[]> {
  const own = join(directory, 'templates');
  mkdirSync(own);
  const databaseUrl = await database.create('templates');
  const running = await service.start({ directory: own, databaseUrl, users: 1, checkout: HERE, nodeOptions: [] });
  try {
    return await writtenTemplates(running, databaseUrl);
  } finally {
    await running.server.stop();
  }
}

/** Loads a database of this size and starts the service on it. */
export async function grow(
  size: number,
  templates: readonly Template[],
  { database, directory }: { database: Database; directory: string },
  progress: (text: string) => void,
): Promise<Grown> {
  const now = Date.now();
  const population = newPopulation(size, now - YEAR_MS, now);
  let loadSeconds = NaN;
  const contestant = await Contestant.start('service', database, {
    directory,
    users: 0,
    as: size.toLocaleString('en').replaceAll(',', '_'),
    load: async (site) => {
      HERE.prepare(site.directory);
      appendFileSync(join(site.directory, 'access-policy.yaml'), LIMITED_AUDITOR);
      HERE.migrate(site.databaseUrl);
      await load(site, population, templates, progress);
      loadSeconds = (Date.now() - now) / 1_000;
      const path = join(site.directory, 'population.json');
      writeFileSync(path, JSON.stringify(population));
      return path;
    },
  });
  return { population, contestant, loadSeconds };
}
