import type { Report, Section } from './report.js';
import { makeVisible } from './formats.js';

const MAX_CELL = 60;
const MAX_RULE = 120;
const RULE = '─';
const LEVELS = { act: '!!', look: ' !', note: ' ·' } as const;

/** Writes the report for a terminal. */
export function renderText(report: Report): string {
  const { title, file, proof, period, figures, remarks, sections } = report;
  const head = [
    title,
    RULE.repeat(title.length),
    ...alignColumns([['File', file], ['Period', period], ['Proof', proof.text], ...proof.facts]),
  ].map((line) => line.trimEnd());
  const counts = alignColumns(
    figures.map(({ name, value, more = '' }) => [name, value, more]),
    [1],
  );
  const looked = remarks.map(({ level, text }) => `${LEVELS[level]} ${makeVisible(text)}`);
  return [
    ...head,
    ...indentUnder('Figures', counts),
    ...indentUnder('To look at', looked.length > 0 ? looked : [' · nothing']),
    ...sections.flatMap((section) => indentUnder(section.title, formatTable(section))),
    '',
  ].join('\n');
}

function indentUnder(title: string, lines: readonly string[]): string[] {
  return ['', title, ...lines.map((line) => `  ${line}`.trimEnd())];
}

function formatTable({ columns, rows, empty, note }: Section): string[] {
  if (rows.length === 0) return [note ?? empty];
  const numeric = columns.flatMap((column, index) => (column.numeric ? [index] : []));
  const [head = '', ...lines] = alignColumns([columns.map(({ title }) => title), ...rows], numeric);
  return [
    ...(note ? [note] : []),
    head,
    RULE.repeat(Math.min(MAX_RULE, Math.max(...[head, ...lines].map((line) => line.trimEnd().length)))),
    ...lines,
  ];
}

/** Pads cells to columns. @param numeric the columns to align on the right */
function alignColumns(rows: readonly (readonly string[])[], numeric: readonly number[] = []): string[] {
  const cells = rows.map((row) => row.map((cell, index) => cutCell(makeVisible(cell), index === row.length - 1)));
  const widths = cells.reduce<number[]>(
    (wide, row) => row.map((cell, index) => Math.max(wide[index] ?? 0, cell.length)),
    [],
  );
  return cells.map((row) =>
    row
      .map((cell, index) => (numeric.includes(index) ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!)))
      .join('  '),
  );
}

const cutCell = (cell: string, last: boolean): string =>
  last || cell.length <= MAX_CELL ? cell : `${cell.slice(0, MAX_CELL - 1)}…`;
