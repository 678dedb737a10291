import { bytesStored, type Cell, nameOf, typical } from '../measure/cells.js';
import type { Groups } from '../measure/contestant.js';
import { otherCores } from '../measure/placement.js';

const COLUMNS: readonly [title: string, digits: number, value: (cell: Cell) => number][] = [
  ['per second', 0, (cell) => typical(cell, ({ perSecond }) => perSecond)],
  ['p50 ms', 1, (cell) => typical(cell, ({ p50 }) => p50)],
  ['p95 ms', 1, (cell) => typical(cell, ({ p95 }) => p95)],
  ['p99 ms', 1, (cell) => typical(cell, ({ p99 }) => p99)],
  ['CPU ms: service', 2, (cell) => typical(cell, ({ cpu }) => cpu.service)],
  ['database', 2, (cell) => typical(cell, ({ cpu }) => cpu.database)],
  ['generator', 2, (cell) => typical(cell, ({ cpu }) => cpu.generator)],
  ['busy: service', 2, (cell) => typical(cell, ({ busy }) => busy.service)],
  ['the rest', 2, (cell) => typical(cell, ({ busy }) => busy.database + busy.generator)],
  ['MiB: service', 0, (cell) => typical(cell, ({ memory }) => memory.service)],
  ['database', 0, (cell) => typical(cell, ({ memory }) => memory.database)],
  ['bytes: disk', 0, (cell) => bytesStored(cell, 'disk')],
  ['WAL', 0, (cell) => bytesStored(cell, 'wal')],
  ['shed', 0, (cell) => typical(cell, ({ shed }) => shed)],
  ['errors', 0, errorsOf],
];

/** Renders one block for each load, with one line for each contender. */
export function table(cells: readonly Cell[]): string {
  const titles = ['', ...COLUMNS.map(([title]) => title)];
  const blocks = Object.entries(Object.groupBy(cells, nameOf)).map(([name, block = []]) => ({
    name,
    lines: block.map((cell) => [`  ${cell.contender}`, ...COLUMNS.map(([, digits, of]) => shown(of(cell), digits))]),
  }));
  const all = [titles, ...blocks.flatMap(({ lines }) => lines)];
  const widths = titles.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  const aligned = (line: string[]): string =>
    line.map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!))).join('  ');
  return [aligned(titles), ...blocks.flatMap(({ name, lines }) => [name, ...lines.map(aligned)])].join('\n');
}

export function errorsOf({ rounds }: Cell): number {
  return rounds.reduce((sum, { errors }) => sum + errors, 0);
}

/** Lists the reservations about the figures of these cells. */
export function warnings(cells: readonly Cell[]): string[] {
  return cells.flatMap((cell) => {
    const where = `${nameOf(cell)}, ${cell.contender}`;
    const errors = errorsOf(cell);
    const first = cell.rounds.find(({ firstError }) => firstError !== undefined)?.firstError;
    const busy = (of: (busy: Groups) => number): number => typical(cell, (measured) => of(measured.busy));
    const crowded = busy(({ generator, database }) => generator + database) > 0.95 * otherCores();
    const limited = (crowded || busy(({ generator }) => generator) > 0.95) && busy(({ service }) => service) < 0.9;
    return [
      ...(errors > 0
        ? [`${where}: ${String(errors)} ERRORS, so its figures do not count; the first: ${String(first)}`]
        : []),
      ...(limited ? [`${where}: the database or the generator was the limit, not the contender`] : []),
    ];
  });
}

function shown(value: number, digits: number): string {
  return !Number.isFinite(value) ? '-' : value.toFixed(digits);
}
