import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PEERS } from './contenders/contenders.js';

/** Installs the other contenders once, at their first use, from the registry and without scripts. */
export function installPeers(contenders: readonly string[]): void {
  const installed = existsSync(join(import.meta.dirname, 'node_modules/.package-lock.json'));
  if (installed || !contenders.some((name) => PEERS.includes(name))) return;
  const args = ['ci', '--prefix', import.meta.dirname, '--ignore-scripts', '--no-audit', '--no-fund'];
  execFileSync('npm', args, { stdio: ['ignore', 'ignore', 'inherit'], shell: process.platform === 'win32' });
}
