import type { Scenario } from '../load/scenarios.js';
import { bytesStored, type Cell, typical } from '../measure/cells.js';
import type { Measured } from '../measure/contestant.js';
import { aligned } from './aligned.js';

/** The scenarios in which the service stands beside other servers. */
const COMPARED = ['authentication', 'discoverable', 'registration'] as const satisfies Scenario[];
type Compared = (typeof COMPARED)[number];

const TITLES: Readonly<Record<Compared, string>> = {
  authentication: 'Authentications, the user named',
  discoverable: 'Discoverable authentications',
  registration: 'Registrations',
};

/** The service beside other servers in one scenario. */
export interface Comparison {
  readonly perSecond: number;
  readonly timesBetterAuth: number;
  readonly timesTutorial: number;
  /** Bytes for one operation. */
  readonly disk: number;
  readonly wal: number;
}

/** The figures of the comparison, with 32 clients unless noted. NaN where a cell was not measured. */
export interface Findings {
  readonly compared: Readonly<Record<Compared, Comparison>>;
  /** Milliseconds for an authentication. */
  readonly cpu: number;
  readonly timesFloor: number;
  /** The part of the throughput of authentications that audit events cost: 0.2 is a fifth. */
  readonly audit: number;
  /** Milliseconds of an authentication at half of the capacity. */
  readonly p99: number;
}

export function findings(cells: readonly Cell[]): Findings {
  const cpu = (name: string): number => figure(findCell(cells, name), (measured) => measured.cpu.service);
  const half = findCell(cells, 'service', 'authentication', { share: 0.5 });
  return {
    compared: {
      authentication: compare(cells, 'authentication'),
      discoverable: compare(cells, 'discoverable'),
      registration: compare(cells, 'registration'),
    },
    cpu: cpu('service'),
    timesFloor: cpu('service') / cpu('floor'),
    audit: 1 - perSecond(findCell(cells, 'service')) / perSecond(findCell(cells, 'unaudited')),
    p99: figure(half, (measured) => measured.p99),
  };
}

function compare(cells: readonly Cell[], scenario: Compared): Comparison {
  const service = findCell(cells, 'service', scenario);
  const times = (name: string): number => perSecond(service) / perSecond(findCell(cells, name, scenario));
  return {
    perSecond: perSecond(service),
    timesBetterAuth: times('better-auth'),
    timesTutorial: times('tutorial'),
    disk: service ? bytesStored(service, 'disk') : NaN,
    wal: service ? bytesStored(service, 'wal') : NaN,
  };
}

function findCell(
  cells: readonly Cell[],
  contender: string,
  scenario: Scenario = 'authentication',
  load: Cell['load'] = { clients: 32 },
): Cell | undefined {
  return cells.find(
    (cell) =>
      cell.contender === contender && cell.scenario === scenario && JSON.stringify(cell.load) === JSON.stringify(load),
  );
}

const figure = (cell: Cell | undefined, of: (measured: Measured) => number): number => (cell ? typical(cell, of) : NaN);
const perSecond = (cell: Cell | undefined): number => figure(cell, (measured) => measured.perSecond);

export function told(found: Findings): string {
  const text = (value: number, digits: number, unit = ''): string =>
    Number.isFinite(value) ? value.toFixed(digits) + unit : '-';
  const lines = COMPARED.map((scenario) => {
    const { perSecond: rate, timesBetterAuth, timesTutorial, disk, wal } = found.compared[scenario];
    const figures = [text(rate, 0), text(timesBetterAuth, 1), text(timesTutorial, 2), text(disk, 0), text(wal, 0)];
    return [TITLES[scenario], ...figures];
  });
  return [
    aligned([
      ['The service, 32 clients', 'per second', '× Better Auth', '× the tutorial', 'bytes: disk', 'WAL'],
      ...lines,
    ]),
    [
      `CPU of the service for an authentication   ${text(found.cpu, 2, ' ms')}`,
      `  × the floor                              ${text(found.timesFloor, 2)}`,
      `Part that the audit log takes              ${text(found.audit * 100, 0, ' %')}`,
      `p99 at half of the capacity                ${text(found.p99, 1, ' ms')}`,
    ].join('\n'),
  ].join('\n\n');
}
