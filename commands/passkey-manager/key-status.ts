import { DataSource } from 'typeorm';
import { readConfig } from '../../src/config/config.js';
import { describeProgramFailure } from '../../src/database/connection-failure.js';
import { createCommandOptions } from '../../src/database/data-source.js';
import { EXIT, type ExitCode } from '../command-line.js';
import type { Signed } from '../inventory/certificates.js';
import { type Inventory, takeInventory } from '../inventory/inventory.js';
import { listKeyIds } from '../keys/key-file.js';
import { formatKeys, type KeyState, listKeys } from '../keys/key-table.js';
import type { Cell, Printer } from './printer.js';

const SOON_DAYS = 30;

type Seals = { readonly inFile: readonly string[]; readonly keys: readonly KeyState[] } | { readonly fault: string };

/** Shows the keys of the service, from its settings, its files and its database. @throws ConfigError */
export async function showKeys(printer: Printer, env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const config = readConfig(env);
  const inventory = await takeInventory(config, new Date());
  const seals = await readSeals(config.databaseUrl, config.databasePasswordFile, config.bindingKeyFile).catch(
    (error: unknown) => ({ fault: describeProgramFailure(error) }),
  );
  return show(printer, inventory, seals);
}

async function readSeals(url: string | undefined, passwordFile: string | undefined, file: string): Promise<Seals> {
  if (url === undefined) return { fault: 'DATABASE_URL is not set, so the rows of the seal keys are not counted.' };
  const dataSource = await new DataSource(createCommandOptions(url, passwordFile)).initialize();
  try {
    return { inFile: listKeyIds(file), keys: await listKeys(dataSource) };
  } finally {
    await dataSource.destroy();
  }
}

function show(printer: Printer, { keys, certificates, revocationLists, faults }: Inventory, seals: Seals): ExitCode {
  const ended = [...certificates, ...revocationLists].filter(({ daysLeft }) => daysLeft < 0);
  const all = 'fault' in seals ? [...faults, seals.fault] : faults;
  if (printer.isJson)
    printer.showJson({ keys, certificates, revocationLists, seals: 'fault' in seals ? null : seals, faults: all });
  else {
    printer.showTable(keys, {
      key: ({ what }) => what,
      algorithm: ({ algorithm, size }) => `${algorithm}, ${size}`,
      where: ({ where }) => where,
    });
    printer.write('');
    printer.showTable([...certificates, ...revocationLists], {
      'days left': toneDays,
      until: ({ notAfter }) => notAfter.slice(0, 10),
      what: ({ what }) => what,
      subject: ({ subject }) => subject,
      where: ({ where }) => where,
    });
    if (!('fault' in seals)) printer.write(`\n${formatKeys(seals.inFile, seals.keys)}`);
  }
  for (const fault of all) printer.note(fault);
  return all.length + ended.length === 0 ? EXIT.done : EXIT.failed;
}

function toneDays({ daysLeft }: Signed): Cell {
  if (daysLeft < 0) return { text: `ended ${String(-daysLeft)} days ago`, tone: 'bad' };
  return { text: String(daysLeft), tone: daysLeft < SOON_DAYS ? 'caution' : 'good' };
}
