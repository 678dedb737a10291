import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatTable, type Part } from './part.js';
import type { TestResult, TestResults } from './test-results.js';

/*
 * The table of requirements is docs/compliance.md, which people read and `test/docs.spec.ts` holds against the files. This file
 * reads it as data: under each heading a table whose first column is the requirement, and below it a list with code and tests.
 */

const PAGE = 'docs/compliance.md';

interface Requirement {
  readonly section: string;
  readonly requirement: string;
  /** The other cells, by the names of their columns. */
  readonly cells: Readonly<Record<string, string>>;
  readonly details: string;
  readonly code: readonly string[];
  readonly tests: readonly {
    readonly file: string;
    readonly test: string;
    readonly result: TestResult;
    readonly at: string | null;
  }[];
}

const SECTION = /^## (.+)$/;
const HEADER = /^\| (?:number|control) +\|/;
const ITEM = /^- \*\*([^*]+)\*\* ?(.*)$/;
const EVIDENCE = /^ {2}- (.*)$/;
const CITATION = /`([^`]+spec\.ts)`((?:[,;]? “[^”]+”)+)/g;
const QUOTE = /“([^”]+)”/g;
const PATH = /`((?:src|commands|deploy|test|tools|docs)\/[^`\s]+)`|\]\(([^)\s]+\.md)(?:#[^)]*)?\)/g;

/**
 * Makes the table of requirements with the result of each test.
 *
 * @param root the directory of the project
 */
export function describeCompliance(root: string, results: TestResults): Part {
  const page = join(root, PAGE);
  const requirements = existsSync(page) ? readRequirements(readFileSync(page, 'utf8'), results) : undefined;
  const tests = (requirements ?? []).flatMap((row) =>
    row.tests.map((test) => ({ ...test, requirement: row.requirement })),
  );
  const count = (result: TestResult): number => tests.filter((test) => test.result === result).length;
  const untested = (requirements ?? [])
    .filter(({ tests: cited, cells }) => cited.length === 0 && needsEvidence(cells))
    .map(({ requirement }) => requirement);
  const failed = tests.filter(({ result }) => result === 'failed');
  return {
    file: 'compliance.json',
    title: 'PCI DSS 4.0.1 and PSD2: requirements, code, tests and their last result',
    content: { source: PAGE, reports: results.reports, requirements: requirements ?? null },
    summary: [
      requirements
        ? `${String(requirements.length)} requirements cite ${String(tests.length)} tests: ${String(count('passed'))} passed, ${String(count('failed'))} failed, ${String(count('not run'))} not run.`
        : `${PAGE} is not here.`,
      '',
      ...formatTable(
        ['requirement', 'what it asks', 'what the service does', 'tests'],
        (requirements ?? []).map(formatRow),
      ),
    ],
    open: [
      ...(results.reports.length === 0
        ? ['No results of tests were given: run npm test -- --json --outputFile=FILE, and give the file by --results.']
        : []),
      ...(results.reports.length > 0 && count('not run') > 0
        ? [
            `${String(count('not run'))} of the cited tests are in no report that was given: npm run test:long makes another one.`,
          ]
        : []),
      ...(untested.length === 0
        ? []
        : [`These requirements cite no test, but code and documents: ${untested.join('; ')}.`]),
    ],
    faults: [
      ...(requirements ? [] : [`${PAGE} is not here, so the table of requirements is missing.`]),
      ...failed.map(({ requirement, file, test }) => `${requirement}: the test “${test}” of ${file} failed.`),
    ],
  };
}

/** A row that is not applicable, or that is up to the operator alone, has no evidence in the service. */
function needsEvidence(cells: Readonly<Record<string, string>>): boolean {
  return !Object.values(cells).some((cell) => /Not applicable|All of it\./.test(cell));
}

function formatRow({ requirement, cells, tests }: Requirement): string[] {
  const count = (result: TestResult): string => String(tests.filter((test) => test.result === result).length);
  return [
    requirement,
    cells['what it asks, in our words'] ?? '',
    cells['what the service does'] ?? '',
    tests.length === 0 ? 'none' : `${count('passed')} passed, ${count('failed')} failed, ${count('not run')} not run`,
  ];
}

/** Reads the page. Exported for the test that holds it against the quotations of the page. */
export function readRequirements(page: string, results: TestResults): Requirement[] {
  const rows: { section: string; requirement: string; cells: Record<string, string> }[] = [];
  const evidence = new Map<string, { details: string; lines: string[] }>();
  let [section, head, item] = ['', undefined as string[] | undefined, undefined as string | undefined];
  for (const line of page.split('\n')) {
    const [, heading] = SECTION.exec(line) ?? [];
    if (heading !== undefined) [section, item] = [heading, undefined];
    if (HEADER.test(line)) head = splitRow(line);
    else if (!line.startsWith('|')) head = undefined;
    else if (head && !line.startsWith('| --')) {
      const [requirement = '', ...cells] = splitRow(line);
      rows.push({ section, requirement, cells: Object.fromEntries(cells.map((cell, at) => [head![at + 1]!, cell])) });
    }
    const [, name, details = ''] = ITEM.exec(line) ?? [];
    if (name !== undefined) evidence.set((item = `${section}\n${name}`), { details, lines: [] });
    const [, cited] = EVIDENCE.exec(line) ?? [];
    if (cited !== undefined && item !== undefined) evidence.get(item)?.lines.push(cited);
  }
  return rows.map((row) => {
    const { details = '', lines = [] } = evidence.get(`${row.section}\n${row.requirement}`) ?? {};
    return { ...row, details, ...readEvidence(lines, results) };
  });
}

function splitRow(line: string): string[] {
  return line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

function readEvidence(lines: readonly string[], results: TestResults): Pick<Requirement, 'code' | 'tests'> {
  const text = lines.join('\n');
  const tests = [...text.matchAll(CITATION)].flatMap(([, file = '', quotes = '']) =>
    [...quotes.matchAll(QUOTE)].map(([, test = '']) => {
      const { result, at = null } = results.find(file, test);
      return { file, test, result, at };
    }),
  );
  const code = [...text.matchAll(PATH)].map(([, path, page]) => path ?? `docs/${page ?? ''}`);
  return { code: [...new Set(code)].filter((path) => !/spec\.ts$/.test(path)), tests };
}
