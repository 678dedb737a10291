import type { Connection, Target } from '../load/connection.js';
import type { Scenario } from '../load/scenarios.js';
import type { User } from '../load/users.js';
import type { ServerProcess } from '../measure/server-process.js';
import type { Checkout } from './checkout.js';

/** The resources of a contender at its start. */
export interface Site {
  /** Its own directory. */
  readonly directory: string;
  /** The URL of its own, empty database. */
  readonly databaseUrl: string;
  readonly users: number;
  /** The checkout whose build runs, if the contender is this service. */
  readonly checkout: Checkout;
  /** Node's options, such as the inspector's. */
  readonly nodeOptions: readonly string[];
}

/** Plays a user and the caller between user and contender. */
export interface Driver {
  register(connection: Connection, user: User): Promise<void>;
  /** @param named true if the request for the challenge names the user */
  authenticate(connection: Connection, user: User, named: boolean): Promise<void>;
  list?(connection: Connection, user: User): Promise<void>;
  get?(connection: Connection, user: User): Promise<void>;
}

export interface Running {
  readonly server: ServerProcess;
  readonly target: Target;
}

export interface Contender {
  readonly title: string;
  readonly scenarios: readonly Scenario[];
  readonly driver: Driver;
  start(site: Site): Promise<Running>;
}

export const ORIGIN = 'http://localhost:3000';
export const RP_ID = 'localhost';
