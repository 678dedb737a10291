import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

/** The version of the service, from its package.json. */
export const VERSION = readVersion();

function readVersion(): string {
  const file = findPackageJSON(import.meta.url);
  if (file === undefined) throw new Error('package.json is not above the program');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
