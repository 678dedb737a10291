/** A curve over minutes. */
export interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly x: readonly number[];
  readonly y: readonly number[];
}

const [WIDTH, PANEL, TOP, BOTTOM, LEFT, RIGHT] = [820, 170, 36, 30, 80, 20];
const HEIGHT = PANEL - TOP - BOTTOM;
const TICKS = [0, 0.5, 1];

/** Draws curves one below the other, each from zero, so that a flat curve looks flat. */
export function linePlot(panels: readonly Panel[], caption: string): string {
  const height = String(panels.length * PANEL + 30);
  const width = String(WIDTH);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    ...panels.map((panel, index) => `<g transform="translate(0 ${String(index * PANEL)})">${drawn(panel)}</g>`),
    text(LEFT, panels.length * PANEL + 16, caption, 'start', 11),
    '</svg>\n',
  ].join('\n');
}

function drawn({ title, unit, x, y }: Panel): string {
  const [right, top] = [Math.max(...x), ceiling(Math.max(...y.filter(Number.isFinite), 0))];
  const across = (value: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * value) / right;
  const up = (value: number): number => TOP + HEIGHT * (1 - value / top);
  const grid = TICKS.map((share) => {
    const at = up(share * top);
    const line = `<line x1="${String(LEFT)}" x2="${String(WIDTH - RIGHT)}" y1="${String(at)}" y2="${String(at)}" stroke="#ddd"/>`;
    return line + text(LEFT - 8, at + 4, String(Number((share * top).toPrecision(3))), 'end', 11);
  });
  const minutes = TICKS.map((share) =>
    text(across(share * right), PANEL - 10, `${(share * right).toFixed(0)} min`, 'middle', 11),
  );
  const points = x.flatMap((value, index) => {
    const height = y[index]!;
    return Number.isFinite(height) ? [`${across(value).toFixed(1)},${up(height).toFixed(1)}`] : [];
  });
  const curve = `<polyline points="${points.join(' ')}" fill="none" stroke="#2f6f8f" stroke-width="2"/>`;
  return [text(LEFT, 22, `${title}, ${unit}`, 'start', 14), ...grid, ...minutes, curve].join('\n');
}

const text = (x: number, y: number, content: string, anchor: string, size: number): string =>
  `<text x="${String(x)}" y="${String(y)}" text-anchor="${anchor}" font-size="${String(size)}">${content}</text>`;

/** Returns the next of 1, 1.5, 2, 3, 4, 6, 8 times a power of ten above the drawn values. */
function ceiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 4, 6, 8].find((step) => step * power >= value) ?? 10) * power;
}
