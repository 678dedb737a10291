import type { Config } from '../config/config.js';

/** What the primary tells a worker. */
export type Order =
  | { readonly kind: 'start'; readonly config: Config }
  | { readonly kind: 'stop' }
  | ({ readonly kind: 'ask' } & Question);

export interface Question {
  readonly id: number;
  readonly about: 'readiness' | 'metrics';
}

/** What a worker tells the primary. It speaks first: what is sent to a process that does not listen yet is lost. */
export type Report =
  | { readonly kind: 'here' }
  | { readonly kind: 'serving'; readonly url: string }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: unknown };
