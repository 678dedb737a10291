import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** The outcome of a test, as `jest --json` reports it. */
export type TestResult = 'passed' | 'failed' | 'not run';

interface Assertion {
  readonly ancestorTitles: readonly string[];
  readonly title: string;
  readonly fullName: string;
  readonly status: string;
}

interface Report {
  readonly startTime: number;
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Assertion[] }[];
}

/** A file of results that is not a report of jest. */
export class ResultsError extends Error {
  override readonly name = 'ResultsError';
}

/** The results of test runs, by file and title. What a later run says of a file replaces what an earlier one said. */
export class TestResults {
  readonly reports: {
    readonly file: string;
    readonly sha256: string;
    readonly startedAt: string;
    readonly tests: number;
  }[] = [];
  private readonly files = new Map<string, { readonly startedAt: string; readonly assertions: readonly Assertion[] }>();

  /** @throws ResultsError, Error if the file cannot be read */
  static read(paths: readonly string[]): TestResults {
    const results = new TestResults();
    const reports = paths.map((path) => ({ path, report: parseReport(path) }));
    for (const { path, report } of reports.sort((one, other) => one.report.startTime - other.report.startTime))
      results.add(path, report);
    return results;
  }

  private add(path: string, report: Report): void {
    const startedAt = new Date(report.startTime).toISOString();
    let tests = 0;
    for (const { name, assertionResults } of report.testResults) {
      tests += assertionResults.length;
      this.files.set(name.replaceAll('\\', '/'), { startedAt, assertions: assertionResults });
    }
    this.reports.push({
      file: path,
      sha256: createHash('sha256').update(readFileSync(path)).digest('hex'),
      startedAt,
      tests,
    });
  }

  /**
   * Finds a test by the words by which a document quotes it: a title, the name of a group, or the name of a row in a table of
   * tests. `%s` stands for any text.
   */
  find(file: string, quoted: string): { readonly result: TestResult; readonly at: string | undefined } {
    const found = [...this.files].find(([path]) => path.endsWith(`/${file}`))?.[1];
    const about = found?.assertions.filter((assertion) => isQuoted(assertion, quoted)) ?? [];
    const run = about.filter(({ status }) => status === 'passed' || status === 'failed');
    if (!found || run.length === 0) return { result: 'not run', at: undefined };
    return { result: run.every(({ status }) => status === 'passed') ? 'passed' : 'failed', at: found.startedAt };
  }
}

function isQuoted({ title, ancestorTitles, fullName }: Assertion, quoted: string): boolean {
  const parts = quoted.split(/%[a-z]/).map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const whole = new RegExp(`^${parts.join('.*')}$`, 's');
  return [title, ...ancestorTitles].some((text) => whole.test(text)) || fullName.includes(quoted);
}

function parseReport(path: string): Report {
  const text = readFileSync(path, 'utf8');
  try {
    const report = JSON.parse(text) as Partial<Report>;
    if (typeof report.startTime === 'number' && Array.isArray(report.testResults)) return report as Report;
  } catch {
    // The sentence below says what is expected.
  }
  throw new ResultsError(`${path} is not a report of jest: make it by npm test -- --json --outputFile=FILE.`);
}
