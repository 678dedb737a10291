import type { Config } from '../../config/config.js';

/** A message from the primary to a worker. */
export type Order =
  | { readonly kind: 'start'; readonly config: Config }
  | { readonly kind: 'stop' }
  | ({ readonly kind: 'ask' } & Question);

export interface Question {
  readonly id: number;
  readonly about: 'readiness' | 'metrics';
}

/**
 * A message from a worker to the primary. The worker speaks first, because a message to a process that does not listen
 * yet is lost.
 */
export type Report =
  | { readonly kind: 'here' }
  | { readonly kind: 'serving'; readonly url: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown };
