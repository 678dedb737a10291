import { ConfigError, readConfig } from '../src/config/config.js';
import { prepareDevelopment } from '../src/app/development-files.js';
import { takeInventory } from './inventory/inventory.js';
import { formatInventory } from './inventory/table.js';

/**
 * Prints the cryptographic inventory of the configuration in the environment, as the service would read it. In a
 * container the command is `node dist/commands/inventory.js [--json]`.
 *
 *     npm run inventory -- [--json]
 *
 * The exit code is 1 if a part could not be read.
 */
try {
  const config = readConfig(process.env);
  if (!config.production) await prepareDevelopment(config.dataDir);
  const inventory = await takeInventory(config, new Date());
  console.log(process.argv.includes('--json') ? JSON.stringify(inventory, null, 2) : formatInventory(inventory));
  process.exitCode = inventory.faults.length === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
