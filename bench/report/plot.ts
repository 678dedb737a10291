import { type Cell, typical } from '../measure/cells.js';
import type { Scenario } from '../load/scenarios.js';
import { contenderOf } from '../contenders/contenders.js';
import type { Conditions } from './conditions.js';

interface Bar {
  readonly label: string;
  /** The parts of a bar, drawn on top of each other. */
  readonly parts: readonly number[];
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  /** The names of the parts. */
  readonly legend: readonly string[];
  readonly bars: readonly Bar[];
}

const [WIDTH, PANEL, TOP, BOTTOM, LEFT] = [820, 300, 60, 40, 70];
const HEIGHT = PANEL - TOP - BOTTOM;
const COLOURS = ['#2f6f8f', '#e09f3e', '#b7b7a4'];

/** Draws the comparison as an SVG: the throughput, the CPU and the latency of each contender. */
export function plot(cells: readonly Cell[], { cpu, cores, commit, at }: Conditions): string {
  const with32 = (scenario: Scenario): Cell[] =>
    cells.filter((cell) => cell.scenario === scenario && 'clients' in cell.load && cell.load.clients === 32);
  const at32 = with32('authentication');
  const half = cells.filter(
    ({ scenario, load }) => scenario === 'authentication' && 'share' in load && load.share === 0.5,
  );
  const bars = (from: Cell[], parts: (cell: Cell) => number[]): Bar[] =>
    from.map((cell) => ({ label: contenderOf(cell.contender).title, parts: parts(cell) }));
  const throughput = (title: string, from: Cell[]): Panel => ({
    title: `${title} per second, 32 clients`,
    unit: '1/s',
    digits: 0,
    legend: [],
    bars: bars(from, (cell) => [typical(cell, ({ perSecond }) => perSecond)]),
  });
  const panels: Panel[] = [
    throughput('Authentications', at32),
    throughput('Discoverable authentications', with32('discoverable')),
    throughput('Registrations', with32('registration')),
    {
      title: 'CPU for one authentication',
      unit: 'ms',
      digits: 2,
      legend: ['service', 'database'],
      bars: bars(at32, (cell) => [typical(cell, (m) => m.cpu.service), typical(cell, (m) => m.cpu.database)]),
    },
    {
      title: 'Latency at half of its own capacity, p99',
      unit: 'ms',
      digits: 1,
      legend: [],
      bars: bars(half, (cell) => [typical(cell, ({ p99 }) => p99)]),
    },
  ].filter(({ bars: { length } }) => length > 0);
  const height = panels.length * PANEL + 30;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(WIDTH)}" height="${String(height)}" viewBox="0 0 ${String(WIDTH)} ${String(height)}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...panels.map((panel, index) => `<g transform="translate(0 ${String(index * PANEL)})">${drawn(panel)}</g>`),
    text(LEFT, height - 12, `${at.slice(0, 10)}, commit ${commit}; ${cpu}, ${String(cores)} cores`, 'start', 11),
    '</svg>\n',
  ].join('\n');
}

function drawn({ title, unit, digits, legend, bars }: Panel): string {
  const totals = bars.map(({ parts }) => parts.reduce((sum, part) => sum + sound(part), 0));
  const top = ceiling(Math.max(...totals));
  const y = (value: number): number => TOP + HEIGHT * (1 - value / top);
  const slot = (WIDTH - LEFT - 20) / bars.length;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const value = share * top;
    const line = `<line x1="${String(LEFT)}" x2="${String(WIDTH - 20)}" y1="${String(y(value))}" y2="${String(y(value))}" stroke="#ddd"/>`;
    return line + text(LEFT - 8, y(value) + 4, String(Number(value.toPrecision(3))), 'end', 11);
  });
  const columns = bars.map(({ label, parts }, index) => {
    const middle = LEFT + slot * (index + 0.5);
    let reached = 0;
    const boxes = parts.map((part, nth) => {
      const from = reached;
      reached += sound(part);
      return `<rect x="${String(middle - slot * 0.3)}" width="${String(slot * 0.6)}" y="${String(y(reached))}" height="${String(y(from) - y(reached))}" fill="${COLOURS[nth]!}"/>`;
    });
    const value = parts.map((part) => (Number.isFinite(part) ? part.toFixed(digits) : '-')).join(' + ');
    const name = lines(label).map((line, nth) => text(middle, PANEL - BOTTOM + 18 + 15 * nth, line));
    return [...boxes, text(middle, y(reached) - 6, value), ...name].join('');
  });
  const key = legend.map((name, nth) => {
    const x = WIDTH - 20 - 100 * (legend.length - nth);
    return `<rect x="${String(x)}" y="17" width="12" height="12" fill="${COLOURS[nth]!}"/>${text(x + 18, 28, name, 'start', 12)}`;
  });
  const heading = text(LEFT, 28, title, 'start', 16) + text(LEFT - 8, TOP - 14, unit, 'end', 11);
  return [heading, ...key, ...ticks, ...columns].join('\n');
}

const text = (x: number, y: number, content: string, anchor = 'middle', size = 13): string =>
  `<text x="${String(x)}" y="${String(y)}" text-anchor="${anchor}" font-size="${String(size)}">${content}</text>`;

/** Breaks words into lines of twenty characters, the width of a bar. */
const lines = (label: string): string[] => label.match(/\S.{0,19}(?= |$)/g) ?? [];

/** Draws a missing or non-finite figure as zero. */
const sound = (value: number): number => (Number.isFinite(value) ? value : 0);

/** Returns the next of 1, 1.6, 2, 3.2, 4, 6, 8 times a power of ten above the drawn values and their labels. */
function ceiling(value: number): number {
  const wanted = value > 0 ? value * 1.12 : 1;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return ([1, 1.6, 2, 3.2, 4, 6, 8].find((step) => step * power >= wanted) ?? 10) * power;
}
