import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format } from 'prettier';
import type { Cell } from '../measure/cells.js';
import type { Options } from '../options.js';
import type { Conditions } from './conditions.js';
import type { Findings } from './findings.js';
import { plot } from './plot.js';
import type { Ratios } from './ratios.js';

const directory = join(import.meta.dirname, '../results');

/** Returns a path in bench/results for the results of now. */
export function resultPath({ at, commit }: Conditions, extension: string): string {
  mkdirSync(directory, { recursive: true });
  return join(directory, `${at.slice(0, 10)}-${commit}${extension}`);
}

/** Writes every round, so that a reader can judge the spread, and the picture. @returns the paths */
export async function keepResults(
  on: Conditions,
  options: Options,
  result: { findings: Findings; ratios: readonly Ratios[]; cells: readonly Cell[] },
): Promise<string[]> {
  const kind = (on.against ? `-against-${on.against.commit}` : '') + (options.quick ? '-quick' : '');
  const svg = resultPath(on, `${kind}.svg`);
  writeFileSync(svg, plot(result.cells, on));
  return [await keepJson(on, kind, { options, ...result }), svg];
}

/** @returns the path */
export async function keepJson(on: Conditions, kind: string, result: object): Promise<string> {
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value;
  const path = resultPath(on, `${kind}.json`);
  const text = JSON.stringify({ conditions: on, ...result }, rounded);
  writeFileSync(path, await format(text, { parser: 'json', printWidth: 120 }));
  return path;
}
