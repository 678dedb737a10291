import { styleText } from 'node:util';
import { makeJsonVisible, makeVisible } from './visible.js';

export const FORMATS = ['table', 'json'] as const;
export type Format = (typeof FORMATS)[number];

const TONES = { good: 'green', caution: 'yellow', bad: 'red', aside: 'gray', head: 'bold' } as const;
type Tone = keyof typeof TONES;

/** A text with the tone that a terminal with colours gives it. */
export interface Toned {
  readonly text: string;
  readonly tone: Tone;
}

export type Cell = string | number | boolean | null | undefined | Toned;

/** The columns of a table by their titles. The last one should be the one with texts of any length. */
export type Columns<Entry> = Readonly<Record<string, (entry: Entry) => Cell>>;

/** What a command has of the process: where it writes to, the variables that it reads, and Ctrl-C. */
export interface Io {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** Calls a function when the user wants no more. @returns a function that ends that */
  onInterrupt(interrupt: () => void): () => void;
}

interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Shows what a command found: as a table for a person, or as JSON for a program. */
export class Printer {
  readonly format: Format;
  readonly #io: Io;
  readonly #hasColours: boolean;

  constructor(format: Format, io: Io) {
    [this.format, this.#io] = [format, io];
    const { stdout, env } = io;
    // https://no-color.org
    this.#hasColours = stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
  }

  get isJson(): boolean {
    return this.format === 'json';
  }

  /** Shows one thing. @param rows what a person sees of it; undefined cells are left out */
  showRecord(value: unknown, rows: Readonly<Record<string, Cell>>): void {
    if (this.isJson) {
      this.showJson(value);
      return;
    }
    const shown = Object.entries(rows).filter(([, cell]) => cell !== undefined);
    const width = Math.max(...shown.map(([name]) => name.length));
    for (const [name, cell] of shown)
      this.write(`${this.#tone('aside', name.padEnd(width))}  ${this.#format(cell)}`.trimEnd());
  }

  /** @param none what a person sees if there are no entries */
  showList<Entry>(entries: readonly Entry[], columns: Columns<Entry>, none: string): void {
    if (this.isJson) {
      this.showJson(entries);
      return;
    }
    if (entries.length === 0) {
      this.note(none);
      return;
    }
    this.showTable(entries, columns);
  }

  /** Shows a table in both formats as text. */
  showTable<Entry>(entries: readonly Entry[], columns: Columns<Entry>): void {
    const rows = entries.map((entry) => Object.values(columns).map((cellOf) => cellOf(entry)));
    const titles = Object.keys(columns);
    const widths = titles.map((title, at) => Math.max(title.length, ...rows.map((row) => textOf(row[at]).length)));
    const head = titles.map((title, at) => title.toUpperCase().padEnd(widths[at]!)).join('  ');
    this.write(this.#tone('head', head.trimEnd()));
    for (const row of rows)
      this.write(
        row
          .map((cell, at) => this.#format(cell, at === titles.length - 1 ? 0 : widths[at]!))
          .join('  ')
          .trimEnd(),
      );
  }

  /** One line for each event that a command waits for. */
  showLine(value: unknown, cells: readonly Cell[]): void {
    this.write(
      this.isJson ? makeJsonVisible(JSON.stringify(value)) : cells.map((cell) => this.#format(cell)).join('  '),
    );
  }

  showJson(value: unknown): void {
    this.write(makeJsonVisible(JSON.stringify(value, null, 2)));
  }

  /** A line of a text that is no table. */
  write(text: string): void {
    this.#io.stdout.write(`${text}\n`);
  }

  /** Says something to a person, beside what the command found. */
  note(text: string): void {
    this.#io.stderr.write(`${text}\n`);
  }

  #format(cell: Cell, width = 0): string {
    const text = textOf(cell).padEnd(width);
    return typeof cell === 'object' && cell !== null ? this.#tone(cell.tone, text) : text;
  }

  #tone(tone: Tone, text: string): string {
    return this.#hasColours ? styleText(TONES[tone], text, { validateStream: false }) : text;
  }
}

/** A value that is missing is a dash, as in other command lines. */
export function textOf(cell: Cell): string {
  if (cell === null || cell === undefined || cell === '') return '-';
  if (typeof cell === 'object') return makeVisible(cell.text);
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no';
  return typeof cell === 'number' ? cell.toLocaleString('en') : makeVisible(cell);
}

/** A time of the API in UTC, to the second. */
export function formatTime(time: string | number | null): string | null {
  return time === null
    ? null
    : new Date(time)
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, 'Z');
}
