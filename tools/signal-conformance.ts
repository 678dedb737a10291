import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** What a test of Jest tells. */
export interface SignalTest {
  /** From the root of the project. */
  readonly file: string;
  readonly title: string;
  readonly status: string;
}

/** A rule is held by tests, or one of the others says why not. Each test is `{ file: title }`. */
interface Rule {
  readonly at: string;
  readonly rule: string;
  readonly tests?: readonly Readonly<Record<string, string>>[];
  readonly differs?: string;
  readonly moot?: string;
  readonly unshown?: string;
}

interface Rules {
  readonly files: Readonly<Record<string, string>>;
  readonly specifications: readonly { readonly name: string; readonly url: string; readonly rules: readonly Rule[] }[];
}

const { files, specifications } = parse(readFileSync(join(import.meta.dirname, 'signal-rules.yaml'), 'utf8')) as Rules;

/** The specs that the rules name, as a pattern of Jest. */
export const SIGNAL_SPECS = Object.values(files).map(escapePattern).join('|');

/**
 * Writes docs/ssf-conformance.md.
 *
 * @throws Error when a rule has neither a test nor a reason, or names a test that does not exist or fails
 */
export function describeSignals(tests: readonly SignalTest[]): string {
  const rules = specifications.flatMap((specification) => specification.rules);
  const count = (kind: 'tests' | 'differs' | 'moot' | 'unshown'): string =>
    String(rules.filter((rule) => rule[kind] !== undefined).length);
  return [
    '# Shared Signals, rule by rule',
    '',
    'This page says how the service follows the specifications of Shared Signals as a transmitter, and which tests show it.',
    '`npm run conformance` writes it from [the rules](../tools/signal-rules.yaml) and the tests that they name; do not edit it by',
    'hand. It fails when such a test does not exist or fails.',
    '',
    '- A rule is what a specification says a transmitter must or should do, in our words. What it may do is not listed.',
    '- Sections and rules were compared with the texts: SSF, CAEP and RISC 1.0 of 29 August 2025, RFC 8417, RFC 8935 and RFC 8936.',
    '- In a title, `%s`, `%i` and `%j` stand for the values that the test tries.',
    `- Of ${String(rules.length)} rules, ${count('tests')} have tests, ${count('differs')} are **not followed**, ${count('moot')} do not arise and ${count('unshown')} are **not shown**.`,
    '  The reason stands in place of the tests.',
    '- [ADR 50](adr/0050-shared-signals.md) and [ADR 51](adr/0051-signals-are-signed-and-pushed.md) say what the specifications leave',
    '  open and the service decides, such as the algorithm of each stream.',
    '- The rules for receivers are those of [our client](../clients/typescript), whose tests are in',
    '  [test/client/signals.test.ts](../test/client/signals.test.ts).',
    '',
    ...specifications.flatMap(({ name, url, rules: own }) => [
      `## ${name}`,
      '',
      `[The specification](${url})`,
      '',
      '| section | rule | shown by |',
      '| --- | --- | --- |',
      ...own.map((rule) => `| ${rule.at} | ${rule.rule} | ${describeProof(rule, tests)} |`),
      '',
    ]),
  ].join('\n');
}

function describeProof({ at, rule, tests, differs, moot, unshown }: Rule, all: readonly SignalTest[]): string {
  if (differs !== undefined) return `**not followed:** ${differs}`;
  if (moot !== undefined) return `does not arise: ${moot}`;
  if (unshown !== undefined) return `**not shown:** ${unshown}`;
  const named = (tests ?? []).flatMap((test) => Object.entries(test));
  if (named.length === 0) throw new Error(`${at} “${rule}” has neither a test nor a reason`);
  return named.map(([name, title]) => describeTest(name, title, all)).join('<br>');
}

function describeTest(name: string, title: string, all: readonly SignalTest[]): string {
  const file = files[name];
  if (file === undefined) throw new Error(`there is no file “${name}” among the rules of signals`);
  const pattern = new RegExp(`^${escapePattern(title).replaceAll(/%[sij]/g, '.*')}$`, 's');
  const found = all.filter((test) => test.file === file && pattern.test(test.title));
  if (found.length === 0) throw new Error(`${file} has no test “${title}”`);
  if (found.some(({ status }) => status !== 'passed')) throw new Error(`${file}: “${title}” fails`);
  const short = file.replace(/^.*\//, '').replace(/\.ts$/, '');
  return `[${short}](../${file}) “${title.replaceAll('_', '\\_').replaceAll('|', '\\|')}”`;
}

function escapePattern(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
