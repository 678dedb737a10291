/**
 * Puts load on one contender, in a process of its own that its parent controls (generator-process.ts). It signs like
 * authenticators, so signing does not take the contender's time.
 *
 * Arguments: the contender, its target as JSON, the number of users or the file of a loaded population.
 */
import { contenderOf } from '../contenders/contenders.js';
import { LoadedUsers } from '../growth/loaded-users.js';
import { closedLoop } from './closed-loop.js';
import { Connection, type Target } from './connection.js';
import { openLoop } from './open-loop.js';
import { operationOf, type Scenario } from './scenarios.js';
import { type Observed, Tally } from './tally.js';
import { Users } from './users.js';

/** Maximum of operations in flight in an open loop. */
const OPEN_LOOP_CONNECTIONS = 128;
const ENROLMENT_CONNECTIONS = 16;

export type Load = { readonly clients: number } | { readonly perSecond: number };

export interface Run {
  readonly scenario: Scenario;
  readonly load: Load;
  /** Milliseconds. */
  readonly lead: number;
  readonly length: number;
}

export type Command = { readonly enrol: true } | { readonly connect: Load } | { readonly run: Run };

const [name = '', target = '', source = ''] = process.argv.slice(2);
const { driver } = contenderOf(name);
const users = /^\d+$/.test(source) ? new Users(Number(source)) : LoadedUsers.read(source);
let connections: Connection[] = [];

async function connect(number: number): Promise<void> {
  for (const connection of connections) connection.close();
  connections = [];
  for (let n = 0; n < number; n += 1) connections.push(await Connection.open(JSON.parse(target) as Target));
}

async function enrol(): Promise<void> {
  await connect(ENROLMENT_CONNECTIONS);
  const left = [...users.enrolled];
  const client = async (connection: Connection): Promise<void> => {
    for (let user = left.pop(); user; user = left.pop()) await driver.register(connection, user);
  };
  await Promise.all(connections.map(client));
}

async function run({ scenario, load, lead, length }: Run): Promise<Observed> {
  const tally = new Tally(lead, length);
  const operation = operationOf(scenario, driver, users);
  if ('clients' in load) await closedLoop(connections, operation, tally);
  else await openLoop(connections, operation, tally, load.perSecond);
  return tally.result();
}

async function obey(command: Command): Promise<unknown> {
  if ('enrol' in command) return enrol();
  if ('connect' in command)
    return connect('clients' in command.connect ? command.connect.clients : OPEN_LOOP_CONNECTIONS);
  return run(command.run);
}

process.on('message', (command: Command) => {
  obey(command).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
