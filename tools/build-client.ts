/** `npm run client:build` compiles the client into a folder that holds nothing of an earlier build. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';

const DIST = 'clients/typescript/dist';

process.chdir(dirname(import.meta.dirname));
try {
  rmSync(DIST, { recursive: true, force: true });
  mkdirSync(DIST);
} catch (error) {
  console.error(`The build of the client cannot write: ${(error as Error).message}.`);
  process.exit(1);
}
const tsc = ['node_modules/typescript/bin/tsc', '-p', 'clients/typescript'];
process.exit(spawnSync(process.execPath, tsc, { stdio: 'inherit' }).status ?? 1);
