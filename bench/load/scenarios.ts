import type { Driver } from '../contenders/contender.js';
import type { Connection } from './connection.js';
import type { UserSource } from './users.js';

/** `mix` has 95 authentications to 5 registrations. `list` reads a user's credentials, `get` a credential by its id. */
export const SCENARIOS = ['authentication', 'discoverable', 'registration', 'mix', 'list', 'get'] as const;
export type Scenario = (typeof SCENARIOS)[number];

export type Operation = (connection: Connection) => Promise<void>;

export function operationOf(scenario: Scenario, driver: Driver, users: UserSource): Operation {
  const register: Operation = (connection) => driver.register(connection, users.newcomer());
  const authenticate: Operation = (connection) => driver.authenticate(connection, users.next(), true);
  let turn = 0;
  switch (scenario) {
    case 'authentication':
      return authenticate;
    case 'discoverable':
      return (connection) => driver.authenticate(connection, users.next(), false);
    case 'registration':
      return register;
    case 'mix':
      return (connection) => ((turn += 1) % 20 === 0 ? register(connection) : authenticate(connection));
    case 'list':
      return (connection) => driver.list!(connection, users.next());
    case 'get':
      return (connection) => driver.get!(connection, users.next());
  }
}
