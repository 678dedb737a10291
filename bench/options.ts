import { parseArgs } from 'node:util';
import { COMPARED, CONTENDERS, contenderOf } from './contenders/contenders.js';
import { type Scenario, SCENARIOS } from './load/scenarios.js';

const USAGE = `npm run bench -- [options]

  --quick              one short round of authentications at 32 clients: about a minute
  --scenario a,b       of ${SCENARIOS.join(', ')}
  --contender a,b      of ${Object.keys(CONTENDERS).join(', ')}
  --clients 1,8,32     of the closed loops
  --share 0.25,0.5     of the open loops, in parts of what the contender can do; 0: none
  --seconds N          of each measurement
  --rounds N           of each measurement; medians are shown
  --users N            who are enrolled
  --profile            where the service's CPU goes, instead of a comparison
  --workers            one process of the service against one for each core, instead of a comparison; nothing pinned
  --growth             how the service does with more and more data, instead of a comparison
  --sizes a,b          of --growth: how many credentials, and as many audit events
  --soak               how the service does in the long run, instead of a comparison
  --minutes N          of --soak
  --every N            seconds between the samples of --soak`;

const SIZES = ['10000', '1000000', '10000000'];

export interface Options {
  readonly scenarios: readonly Scenario[];
  /** Scenarios that are measured at every load; the others with 32 clients alone. */
  readonly thorough: readonly Scenario[];
  readonly contenders: readonly string[];
  readonly clients: readonly number[];
  /** Of the open loops, in parts of what the contender can do. */
  readonly shares: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly users: number;
  readonly quick: boolean;
  readonly profile: boolean;
  readonly workers: boolean;
  readonly growth: boolean;
  /** Of growth: how many credentials, and as many audit events, the smallest first. */
  readonly sizes: readonly number[];
  readonly soak: boolean;
  /** Of the soak. */
  readonly minutes: number;
  /** Seconds between the samples of the soak. */
  readonly every: number;
}

/** Ends the process on a mistake, or when asked for help. */
export function readOptions(args: readonly string[]): Options {
  try {
    return parse(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      scenario: { type: 'string' },
      contender: { type: 'string' },
      clients: { type: 'string' },
      share: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      users: { type: 'string' },
      workers: { type: 'boolean', default: false },
      growth: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      soak: { type: 'boolean', default: false },
      minutes: { type: 'string', default: '60' },
      every: { type: 'string' },
    },
  });
  const { quick, profile, workers, growth, soak } = values;
  const minutes = number(values.minutes);
  if (values.help) throw new Error('Ceremonies per second, latencies and CPU, of this service and of others.');
  const asked = list(values.scenario)?.map(scenario);
  const contenders =
    list(values.contender) ?? (workers ? ['service', 'workers'] : profile || growth || soak ? ['service'] : COMPARED);
  contenders.forEach(contenderOf);
  return {
    scenarios: asked ?? (quick || profile || workers ? ['authentication'] : SCENARIOS),
    thorough: asked ?? ['authentication'],
    contenders,
    clients: list(values.clients)?.map(number) ?? (quick || profile ? [32] : [1, 8, 32, 128]),
    shares:
      values.share === '0' ? [] : (list(values.share)?.map(number) ?? (quick || soak ? [0.5] : [0.25, 0.5, 0.75])),
    seconds: number(values.seconds ?? (quick ? '3' : profile ? '15' : '6')),
    rounds: number(values.rounds ?? (quick ? '1' : '3')),
    users: number(values.users ?? (quick ? '500' : '2000')),
    ...{ quick, profile, workers, growth, soak, minutes },
    sizes: (list(values.sizes) ?? SIZES).map(number).sort((a, b) => a - b),
    every: number(values.every ?? String(Math.max(5, minutes))),
  };
}

const list = (text: string | undefined): string[] | undefined => text?.split(',').map((part) => part.trim());

function number(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`"${text}" is no number above zero`);
  return value;
}

function scenario(text: string): Scenario {
  const found = SCENARIOS.find((each) => each === text);
  if (!found) throw new Error(`"${text}" is no scenario; there are ${SCENARIOS.join(', ')}`);
  return found;
}
