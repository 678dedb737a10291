import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DataSource } from 'typeorm';
import { formatTable, type Part } from './part.js';

const SAMPLES = 7;
/** Milliseconds. The service warns of more, because times of its events and of the database would be out of order. */
const TOLERATED_MS = 1_000;

interface Offset {
  /** Milliseconds by which the clock of this machine is ahead of the database's. */
  readonly milliseconds: number;
  /** The most by which the offset can be wrong: half of the way there and back. */
  readonly uncertainty: number;
}

interface TimeSource {
  readonly program: string;
  readonly synchronized: boolean;
  readonly facts: Readonly<Record<string, string>>;
}

/** Compares the clock of this machine with the database's, and asks the machine what sets it (PCI DSS 4.0.1 10.6). */
export async function describeClocks(dataSource: DataSource): Promise<Part> {
  const [offset, source] = [await measureOffset(dataSource), (await askChrony()) ?? (await askTimedatectl())];
  const apart = Math.abs(offset.milliseconds) - offset.uncertainty > TOLERATED_MS;
  return {
    file: 'clocks.json',
    title: 'Time: source and offset (10.6.1 to 10.6.3)',
    content: { offsetFromDatabase: offset, timeSource: source ?? null },
    summary: formatTable(
      ['fact', 'value'],
      [
        ['this machine’s clock, compared with the database’s', formatOffset(offset)],
        [
          'what sets the clock of this machine',
          source
            ? `${source.program} says: ${source.synchronized ? 'synchronized' : 'not synchronized'}`
            : 'not visible from here',
        ],
        ...Object.entries(source?.facts ?? {}),
      ],
    ),
    open: [
      ...(source
        ? []
        : [
            'The time source is not visible from here (no chronyc, no timedatectl): show chronyc tracking of the host (10.6.1).',
          ]),
      ...(source && !source.synchronized
        ? [`${source.program} says that the clock of this machine is not synchronized (10.6.1).`]
        : []),
      ...(apart ? [`The clocks of this machine and of the database are ${formatOffset(offset)} apart (10.6.1).`] : []),
    ],
    faults: [],
  };
}

function formatOffset({ milliseconds, uncertainty }: Offset): string {
  return `${milliseconds.toFixed(1)} ms ± ${uncertainty.toFixed(1)} ms`;
}

/** Takes the sample with the shortest way there and back. */
async function measureOffset(dataSource: DataSource): Promise<Offset> {
  let best: Offset | undefined;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const [sentAt, began] = [Date.now(), performance.now()];
    const [row] = await dataSource.query<[{ ms: string }]>('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS ms');
    const way = performance.now() - began;
    // Date.now() counts whole milliseconds.
    const taken = { milliseconds: sentAt + way / 2 - Number(row.ms), uncertainty: way / 2 + 1 };
    if (!best || taken.uncertainty < best.uncertainty) best = taken;
  }
  return best!;
}

const run = promisify(execFile);
const PATIENCE_MS = 2_000;

async function ask(program: string, ...args: string[]): Promise<string | undefined> {
  try {
    return (await run(program, args, { timeout: PATIENCE_MS, env: { ...process.env, LC_ALL: 'C' } })).stdout;
  } catch {
    return undefined;
  }
}

async function askChrony(): Promise<TimeSource | undefined> {
  const tracking = (await ask('chronyc', '-c', '-n', 'tracking'))?.trim().split(',');
  if (!tracking || tracking.length < 14) return undefined;
  const [, address = '', stratum = '', , offset = '', , , , , , dispersion = '', , , leap = ''] = tracking;
  return {
    program: 'chronyc tracking',
    synchronized: leap !== 'Not synchronised',
    facts: {
      'reference of the clock': address,
      stratum,
      'offset from it, seconds': offset,
      'root dispersion, seconds': dispersion,
      'leap status': leap,
    },
  };
}

async function askTimedatectl(): Promise<TimeSource | undefined> {
  const shown = await ask('timedatectl', 'show', '--property=NTPSynchronized', '--property=NTP');
  const values = new Map(
    (shown ?? '')
      .trim()
      .split('\n')
      .map((line) => line.split('=', 2) as [string, string]),
  );
  const synchronized = values.get('NTPSynchronized');
  if (synchronized === undefined) return undefined;
  return {
    program: 'timedatectl',
    synchronized: synchronized === 'yes',
    facts: { 'NTP is on': values.get('NTP') ?? '' },
  };
}
