import { betterAuth } from './better-auth.js';
import type { Contender } from './contender.js';
import { floor } from './floor.js';
import { before, mover, receipted, service, unaudited, workers } from './service.js';
import { tutorial } from './tutorial.js';

export const CONTENDERS: Readonly<Record<string, Contender>> = {
  service,
  before,
  unaudited,
  'better-auth': betterAuth,
  tutorial,
  floor,
  workers,
  receipted,
  mover,
};

/** The contenders of the comparison without another checkout. */
export const COMPARED: readonly string[] = Object.keys(CONTENDERS).filter(
  (name) => !['before', 'workers', 'receipted', 'mover'].includes(name),
);

/** The contenders that need bench/node_modules. */
export const PEERS: readonly string[] = ['better-auth', 'tutorial'];

export function contenderOf(name: string): Contender {
  const contender = CONTENDERS[name];
  if (!contender) throw new Error(`"${name}" is not a contender; choose from ${Object.keys(CONTENDERS).join(', ')}`);
  return contender;
}
