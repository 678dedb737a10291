import { DataSource } from 'typeorm';
import { findPeriodsEnd } from '../../src/challenges/spent-challenge-periods.js';
import { readConfig } from '../../src/config/config.js';
import { describeProgramFailure } from '../../src/database/connection-failure.js';
import { createCommandOptions } from '../../src/database/data-source.js';
import { EXIT, type ExitCode } from '../command-line.js';
import { type Inventory, takeInventory } from '../inventory/inventory.js';
import { listKeyIds } from '../keys/key-file.js';
import { formatKeys, type KeyState, listKeys } from '../keys/key-table.js';
import type { Cell, Printer } from './printer.js';

const SOON_DAYS = 30;
/** The service makes the periods of four days ahead. */
const SOON_DAYS_OF_PERIODS = 1;
const DAY_MS = 86_400_000;

interface Seals {
  readonly inFile: readonly string[];
  readonly keys: readonly KeyState[];
  readonly periodsEnd: Date;
}

/** What the database tells: undefined if no database is named. */
type Stored = Seals | { readonly fault: string } | undefined;

/** Something that ends. */
interface Ending {
  readonly daysLeft: number;
  readonly notAfter: string;
  readonly what: string;
  readonly subject: string;
  readonly where: string;
  readonly soonDays?: number;
}

/** Shows the keys of the service, from its settings, its files and its database. @throws ConfigError */
export async function showKeys(printer: Printer, env: NodeJS.ProcessEnv): Promise<ExitCode> {
  const config = readConfig(env);
  const now = new Date();
  const inventory = await takeInventory(config, now);
  const { databaseUrl, databasePasswordFile, bindingKeyFile } = config;
  const stored =
    databaseUrl === undefined
      ? undefined
      : await readSeals(databaseUrl, databasePasswordFile, bindingKeyFile, now).catch((error: unknown) => ({
          fault: describeProgramFailure(error),
        }));
  return show(printer, inventory, stored, now);
}

async function readSeals(url: string, passwordFile: string | undefined, file: string, now: Date): Promise<Seals> {
  const dataSource = await new DataSource(createCommandOptions(url, passwordFile)).initialize();
  try {
    return {
      inFile: listKeyIds(file),
      keys: await listKeys(dataSource),
      periodsEnd: await findPeriodsEnd(dataSource, now),
    };
  } finally {
    await dataSource.destroy();
  }
}

function show(printer: Printer, inventory: Inventory, stored: Stored, now: Date): ExitCode {
  const { keys, certificates, revocationLists } = inventory;
  const seals = stored === undefined || 'fault' in stored ? undefined : stored;
  const faults = stored !== undefined && 'fault' in stored ? [...inventory.faults, stored.fault] : inventory.faults;
  const endings = listEndings(inventory, seals?.periodsEnd, now);
  if (printer.isJson) printer.showJson({ keys, certificates, revocationLists, seals: seals ?? null, faults });
  else {
    printer.showTable(keys, {
      key: ({ what }) => what,
      algorithm: ({ algorithm, size }) => `${algorithm}, ${size}`,
      where: ({ where }) => where,
    });
    printer.write('');
    printer.showTable(endings, {
      'days left': toneDays,
      until: ({ notAfter }) => notAfter.slice(0, 10),
      what: ({ what }) => what,
      subject: ({ subject }) => subject,
      where: ({ where }) => where,
    });
    if (seals) printer.write(`\n${formatKeys(seals.inFile, seals.keys)}`);
  }
  if (stored === undefined)
    printer.note(
      'DATABASE_URL is not set: the rows of the seal keys and the periods of spent challenges are left out.',
    );
  for (const fault of faults) printer.note(fault);
  return faults.length === 0 && endings.every(({ daysLeft }) => daysLeft >= 0) ? EXIT.done : EXIT.failed;
}

/** What ends next comes first. */
function listEndings({ certificates, revocationLists }: Inventory, periodsEnd: Date | undefined, now: Date): Ending[] {
  const lists = revocationLists.map((list) => ({ ...list, what: `revocation list of ${list.what}, ${list.holds}` }));
  const periods = periodsEnd && {
    daysLeft: Math.floor((periodsEnd.getTime() - now.getTime()) / DAY_MS),
    notAfter: periodsEnd.toISOString(),
    what: 'periods of spent challenges',
    subject: 'made ahead by the service',
    where: 'the database',
    soonDays: SOON_DAYS_OF_PERIODS,
  };
  const all: Ending[] = [...certificates, ...lists, ...(periods ? [periods] : [])];
  return all.sort((one, other) => Date.parse(one.notAfter) - Date.parse(other.notAfter));
}

function toneDays({ daysLeft, soonDays = SOON_DAYS }: Ending): Cell {
  if (daysLeft < 0) return { text: `ended ${String(-daysLeft)} days ago`, tone: 'bad' };
  return { text: String(daysLeft), tone: daysLeft < soonDays ? 'caution' : 'good' };
}
