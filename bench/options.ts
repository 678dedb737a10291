import { parseArgs } from 'node:util';
import { Checkout } from './contenders/checkout.js';
import { COMPARED, CONTENDERS, contenderOf } from './contenders/contenders.js';
import { type Scenario, SCENARIOS } from './load/scenarios.js';

const USAGE = `usage: npm run bench -- [options]

  --quick              one short round of authentications at 32 clients: about a minute
  --scenario a,b       scenarios: ${SCENARIOS.join(', ')}
  --contender a,b      contenders: ${Object.keys(CONTENDERS).join(', ')}
  --against DIR        also measure the service of DIR, a built checkout of another commit, as \`before\`, and show the
                       ratios of \`service\` to it; --quick then has five rounds
  --clients 1,8,32     clients of the closed loops
  --share 0.25,0.5     loads of the open loops, as parts of the contender's capacity; 0 runs no open loop
  --seconds N          length of each measurement
  --rounds N           rounds of each measurement; the table has the medians
  --users N            users to enrol
  --profile            show where the service spends its CPU, instead of a comparison
  --workers            compare one process of the service with one for each core; nothing is pinned
  --bytes              show the bytes of an authentication by table and index, instead of a comparison
  --growth             measure the service with more and more data, instead of a comparison
  --sizes a,b          numbers of credentials for --growth, with as many audit events
  --moves              import, export and change passkeys instead, with few sign-ins beside it; the first of --sizes
                       says how many, a million unless given
  --soak               measure the service over a long time, instead of a comparison
  --minutes N          length of --soak
  --every N            seconds between the samples of --soak
  --help, -h           print this text

Exit codes:
  0  the figures are valid
  1  they are not
  2  the arguments are wrong

Example:
  npm run bench -- --quick`;

const SIZES = ['10000', '1000000', '10000000'];

export interface Options {
  readonly scenarios: readonly Scenario[];
  /** Scenarios to measure at every load; the others run with 32 clients only. */
  readonly thorough: readonly Scenario[];
  readonly contenders: readonly string[];
  /** The checkout of `before`. */
  readonly against: Checkout | undefined;
  readonly clients: readonly number[];
  /** Loads of the open loops, as parts of the contender's capacity. */
  readonly shares: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly users: number;
  readonly quick: boolean;
  readonly profile: boolean;
  readonly workers: boolean;
  readonly bytes: boolean;
  readonly growth: boolean;
  /** Numbers of credentials for the growth, with as many audit events, in ascending order. */
  readonly sizes: readonly number[];
  readonly moves: boolean;
  readonly soak: boolean;
  /** Length of the soak. */
  readonly minutes: number;
  /** Seconds between the samples of the soak. */
  readonly every: number;
}

/** Reads the options. Ends the process on a mistake, or after printing the help. */
export function readOptions(args: readonly string[]): Options {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(`Measures ceremonies per second, latencies and CPU of this service and of others.\n\n${USAGE}`);
    process.exit(0);
  }
  try {
    return parse(args);
  } catch (error) {
    console.error(`${(error as Error).message.replace(/\. To specify.*$/s, '.')}\n\n${USAGE}`);
    process.exit(2);
  }
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      contender: { type: 'string' },
      against: { type: 'string' },
      clients: { type: 'string' },
      share: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      users: { type: 'string' },
      workers: { type: 'boolean', default: false },
      bytes: { type: 'boolean', default: false },
      growth: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      moves: { type: 'boolean', default: false },
      soak: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '60' },
      every: { type: 'string' },
    },
  });
  const { quick, profile, workers, bytes, growth, moves, soak } = values;
  const minutes = number(values.minutes);
  const asked = list(values.scenario)?.map(scenario);
  const named =
    list(values.contender) ??
    (workers
      ? ['service', 'workers']
      : moves
        ? ['mover']
        : profile || bytes || growth || soak
          ? ['service']
          : COMPARED);
  named.forEach(contenderOf);
  const against = values.against === undefined ? undefined : new Checkout(values.against);
  if (against && (profile || workers || bytes || growth || moves || soak))
    throw new Error('--against belongs to the comparison alone');
  if (!against && named.includes('before')) throw new Error('"before" needs --against, which names its checkout');
  return {
    scenarios: asked ?? (quick || profile || workers ? ['authentication'] : SCENARIOS),
    thorough: asked ?? ['authentication'],
    contenders: against ? [...new Set(['service', 'before', ...named])] : named,
    against,
    clients: list(values.clients)?.map(number) ?? (quick || profile ? [32] : [1, 8, 32, 128]),
    shares:
      values.share === '0' ? [] : (list(values.share)?.map(number) ?? (quick || soak ? [0.5] : [0.25, 0.5, 0.75])),
    seconds: number(values.seconds ?? (quick ? (against ? '2' : '3') : profile ? '15' : '6')),
    rounds: number(values.rounds ?? (quick ? (against ? '5' : '1') : '3')),
    users: number(values.users ?? (quick ? '500' : '2000')),
    quick,
    profile,
    workers,
    bytes,
    growth,
    moves,
    soak,
    minutes,
    sizes: (list(values.sizes) ?? (moves ? ['1000000'] : SIZES)).map(number).sort((a, b) => a - b),
    every: number(values.every ?? String(Math.max(5, minutes))),
  };
}

const list = (text: string | undefined): string[] | undefined => text?.split(',').map((part) => part.trim());

function number(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`"${text}" is not a number above zero`);
  return value;
}

function scenario(text: string): Scenario {
  const found = SCENARIOS.find((each) => each === text);
  if (!found) throw new Error(`"${text}" is not a scenario; choose from ${SCENARIOS.join(', ')}`);
  return found;
}
