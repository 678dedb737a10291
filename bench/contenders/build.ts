import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const dist = join(import.meta.dirname, '../../dist/src');

/** Runs a program of the build to its end. */
export function runBuild(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): void {
  execFileSync(process.execPath, [join(dist, program), ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Makes certificates, keys and an access policy without rates, as for a trial. */
export function preparePki(directory: string): void {
  runBuild('prepare.js', [directory]);
}
