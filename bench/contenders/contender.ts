import type { Connection, Target } from '../load/connection.js';
import type { Scenario } from '../load/scenarios.js';
import type { User } from '../load/users.js';
import type { ServerProcess } from '../measure/server-process.js';

/** What a contender may use when it starts. */
export interface Site {
  /** Its own. */
  readonly directory: string;
  /** Empty, its own. */
  readonly databaseUrl: string;
  readonly users: number;
  /** Options of Node, such as the inspector's. */
  readonly nodeOptions: readonly string[];
}

/** Plays a user and the caller in between. */
export interface Driver {
  register(connection: Connection, user: User): Promise<void>;
  /** @param named whether the user says who they are before the challenge */
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
