/**
 * Prints the cryptographic inventory of the configuration in the environment, as the service would read it.
 * inventory/inventory.ts collects it, and inventory/table.ts shows it to a person.
 */
import { prepareDevelopment } from '../src/app/development-files.js';
import { ConfigError, readConfig } from '../src/config/config.js';
import { EXIT, type Program, readArguments } from './command-line.js';
import { takeInventory } from './inventory/inventory.js';
import { formatInventory } from './inventory/table.js';

const PROGRAM = {
  command: 'npm run inventory --',
  imageCommand: 'node dist/commands/inventory.js',
  usage: ['[--json]'],
  about:
    'Prints the cryptographic inventory of the configuration in the environment, as the service would read it: protocols, algorithms, keys, certificates and revocation lists. It prints no secret.',
  options: { json: { text: 'Prints the inventory as JSON, for a tool.' } },
  environment: { 'PASSKEY_…': 'The settings of the service; docs/runbook.md lists them.' },
  examples: ['', '--json'],
  exitCodes: {
    [EXIT.done]: 'The inventory is complete.',
    [EXIT.failed]: 'A part could not be read, and the inventory names it.',
    [EXIT.couldNotRun]: 'The arguments or the settings are wrong.',
  },
} as const satisfies Program;

const { values } = readArguments(PROGRAM);
try {
  const config = readConfig(process.env);
  for (const sentence of config.unknownSettings) console.error(sentence);
  if (!config.production) await prepareDevelopment(config.dataDir);
  const inventory = await takeInventory(config, new Date());
  console.log(values.json ? JSON.stringify(inventory, null, 2) : formatInventory(inventory));
  process.exitCode = inventory.faults.length === 0 ? EXIT.done : EXIT.failed;
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = EXIT.couldNotRun;
}
