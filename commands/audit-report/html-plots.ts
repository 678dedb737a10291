import { markup, type Markup } from './markup.js';
import type { Plot, Section } from './report.js';
import { formatMinute, formatCount } from './formats.js';

const WIDTH = 760;
const HEIGHT = 200;
const LEFT = 52;
const TOP = 10;
const BOTTOM = 24;
const GAP = 0.18;
const BAR_HEIGHT = 24;
const LABEL_WIDTH = 320;
const COUNT_WIDTH = 70;
/** The number of labels under the columns. */
const X_LABELS = 7;
const Y_LINES = 4;
const MAX_LABEL = 48;

/** Draws the plot of a section with a description for screen readers. The table has the numbers. */
export function drawPlot({ id, plot }: Section): Markup {
  if (!plot) return markup``;
  return plot.kind === 'columns' ? drawColumns(id, plot) : drawBars(id, plot);
}

type Columns = Extract<Plot, { kind: 'columns' }>;
type Bars = Extract<Plot, { kind: 'bars' }>;

function drawColumns(id: string, { title, series: { buckets, hours }, of }: Columns): Markup {
  const top = roundUpToScale(
    Math.max(1, ...buckets.map((bucket) => of.reduce((sum, { count }) => sum + bucket[count], 0))),
  );
  const width = (WIDTH - LEFT) / Math.max(1, buckets.length);
  const y = (count: number): number => HEIGHT - (count / top) * HEIGHT;
  const columns = buckets.map((bucket, index) => {
    let below = 0;
    const parts = of.map(({ count }, n) => {
      const [from, to] = [below, (below += bucket[count])];
      return to === from
        ? markup``
        : drawRect(`s${String(n)}`, LEFT + (index + GAP / 2) * width, TOP + y(to), width * (1 - GAP), y(from) - y(to));
    });
    const said = of.map(({ name, count }) => `${formatCount(bucket[count])} ${name.toLowerCase()}`).join(', ');
    return markup`<g><title>${formatMinute(bucket.start)}: ${said}</title>${drawRect('hover', LEFT + index * width, TOP, width, HEIGHT)}${parts}</g>`;
  });
  const sums = of.map(
    ({ name, count }) =>
      `${formatCount(buckets.reduce((sum, bucket) => sum + bucket[count], 0))} ${name.toLowerCase()}`,
  );
  const caption = `${title} per ${formatSpan(hours)}`;
  const told = `${caption}: ${sums.join(', ')}; at most ${formatCount(top)} on the scale.`;
  return markup`<figure><figcaption>${caption}${of.length > 1 ? of.map(({ name }, n) => markup` <span class="key s${String(n)}">${name}</span>`) : ''}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${TOP + HEIGHT + BOTTOM}" role="img" aria-labelledby="${id}-plot"><title id="${id}-plot">${told}</title>
${drawScale(top, y)}${columns}${drawDates(
    buckets.map(({ start }) => start),
    hours,
    width,
  )}</svg></figure>
`;
}

function drawScale(top: number, y: (count: number) => number): Markup[] {
  return Array.from({ length: Y_LINES + 1 }, (_, line) => (top / Y_LINES) * line)
    .filter((count) => Number.isInteger(count))
    .map((count) => {
      const at = roundToTenth(TOP + y(count));
      return markup`<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${at}" y2="${at}"/><text x="${LEFT - 8}" y="${at + 4}" class="end">${formatCompact(count)}</text>`;
    });
}

/** Labels the columns with dates: the beginnings of days in a series of more than two days. */
function drawDates(starts: readonly Date[], hours: number, width: number): Markup[] {
  const byDay = hours < 24 && starts.length * hours > 48;
  const marks = starts.flatMap((start, index) => (byDay && start.getUTCHours() > 0 ? [] : [{ start, index }]));
  const step = Math.max(1, Math.ceil(marks.length / X_LABELS));
  return marks.flatMap(({ start, index }, mark) => {
    if (mark % step > 0) return [];
    const label = hours < 24 && !byDay ? formatMinute(start).slice(5) : start.toISOString().slice(0, 10);
    return [markup`<text x="${roundToTenth(LEFT + index * width)}" y="${TOP + HEIGHT + 18}">${label}</text>`];
  });
}

function drawBars(id: string, { title, bars }: Bars): Markup {
  const most = Math.max(1, ...bars.map(({ count }) => count));
  const room = WIDTH - LABEL_WIDTH - COUNT_WIDTH;
  const lines = bars.map(({ label, count }, index) => {
    const [top, length] = [index * BAR_HEIGHT, Math.max(2, (count / most) * room)];
    const text = label.length > MAX_LABEL ? `${label.slice(0, MAX_LABEL - 1)}…` : label;
    return markup`<text x="${LABEL_WIDTH - 10}" y="${top + 16}" class="end">${text}</text>${drawRect('s1', LABEL_WIDTH, top + 4, length, BAR_HEIGHT - 8)}<text x="${roundToTenth(LABEL_WIDTH + length + 8)}" y="${top + 16}">${formatCount(count)}</text>`;
  });
  const told = `${title}: ${bars
    .map(({ label, count }) => `${label} ${formatCount(count)}`)
    .slice(0, 3)
    .join('; ')}.`;
  return markup`<figure><svg viewBox="0 0 ${WIDTH} ${bars.length * BAR_HEIGHT + 4}" role="img" aria-labelledby="${id}-plot"><title id="${id}-plot">${told}</title>
${lines}</svg></figure>
`;
}

function drawRect(name: string, x: number, y: number, width: number, height: number): Markup {
  return markup`<rect class="${name}" x="${roundToTenth(x)}" y="${roundToTenth(y)}" width="${roundToTenth(width)}" height="${roundToTenth(height)}"/>`;
}

const roundToTenth = (value: number): number => Math.round(value * 10) / 10;
const formatCompact = (count: number): string => Intl.NumberFormat('en', { notation: 'compact' }).format(count);

function formatSpan(hours: number): string {
  if (hours === 1) return 'hour';
  if (hours === 24) return 'day';
  return hours < 24 ? `${String(hours)} hours` : `${String(Math.round(hours / 24))} days`;
}

/** Rounds up to 4, 8, 12, 20, 40, 80, 120, 200, …, so that the four lines of the scale are at whole numbers. */
function roundUpToScale(count: number): number {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(count / 4)));
  return [4, 8, 12, 20, 40].map((step) => step * power).find((step) => step >= count)!;
}
