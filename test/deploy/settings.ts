import { readFileSync } from 'node:fs';

/** The variables that a migration reads. */
export const READ_BY_MIGRATION = ['DATABASE_URL', 'PASSKEY_DATABASE_PASSWORD_FILE'];

/** The settings of the service: src/config/config.spec.ts holds the table of README.md against the code. */
export function readSettings(): Set<string> {
  const names = readFileSync('README.md', 'utf8').matchAll(/`((?:PASSKEY_|DATABASE_|NODE_)\w+)`/g);
  return new Set(Array.from(names, ([, name = '']) => name));
}

/** The seconds that the service gives open requests when it stops. */
export function readDrainSeconds(): number {
  const [, milliseconds] = /PATIENCE_MS = ([\d_]+);/.exec(readFileSync('src/http/drain.ts', 'utf8')) ?? [];
  if (milliseconds === undefined) throw new Error('src/http/drain.ts has no PATIENCE_MS');
  return Number(milliseconds.replaceAll('_', '')) / 1_000;
}
