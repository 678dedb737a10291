/**
 * The attacker runs in a process of its own and at the lowest priority: its work does not delay the permitted callers.
 * It always ends with the siege.
 */
import { setPriority } from 'node:os';
import { ATTACKS } from './attacks.js';
import { Tally, type Target } from './sockets.js';

export type AttackerMessage = { readonly attack: string; readonly target: Target } | { readonly stop: true };

const LOWEST_PRIORITY = 19;

let stop = (): Promise<void> => Promise.resolve();

function start(name: string, target: Target): void {
  const stopping = new AbortController();
  const tally = new Tally();
  const ended = ATTACKS.find((attack) => attack.name === name)!.run({ target, tally, stopped: stopping.signal });
  stop = async () => {
    stopping.abort();
    await ended;
    process.send?.(tally.counts);
  };
}

setPriority(LOWEST_PRIORITY);
process.on('message', (message: AttackerMessage) => {
  if ('attack' in message) start(message.attack, message.target);
  else void stop();
});
process.once('disconnect', () => process.exit());
// Ctrl-C reaches the whole group. The siege ends, and this process with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
