import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { describeCompliance, readRequirements } from './compliance.js';
import { ResultsError, TestResults } from './test-results.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'compliance-'));
afterAll(() => {
  rmSync(DIRECTORY, { recursive: true });
});

const PAGE = readFileSync('docs/compliance.md', 'utf8');
const NOTHING = TestResults.read([]);

const PASSED = { ancestorTitles: ['no identity is taken'], title: 'from the header x-spiffe-id', status: 'passed' };
/** Writes a report as `jest --json` does. */
function writeReport(
  name: string,
  startTime: number,
  assertions: readonly { ancestorTitles: string[]; title: string; status: string }[],
): string {
  const path = join(DIRECTORY, name);
  const assertionResults = assertions.map((each) => ({
    ...each,
    fullName: [...each.ancestorTitles, each.title].join(' '),
  }));
  const testResults = [{ name: resolve('src/one.spec.ts'), assertionResults }];
  writeFileSync(path, JSON.stringify({ startTime, testResults }));
  return path;
}

describe('the table of requirements', () => {
  const requirements = readRequirements(PAGE, NOTHING);

  it('has every row of the page, and every test that it quotes', () => {
    const rows = PAGE.split('\n').filter((line) => line.startsWith('| ') && !/^\| (?:--|number|control)/.test(line));
    expect(requirements).toHaveLength(rows.length);
    expect(requirements.flatMap(({ tests }) => tests)).toHaveLength(PAGE.match(/“[^”]+”/g)?.length ?? 0);
  });

  it('tells what is asked, what the service does, its code, its tests and that they were not run', () => {
    expect(requirements.find(({ requirement }) => requirement === '10.3.1')).toEqual({
      section: expect.stringMatching(/^Requirement 10/),
      requirement: '10.3.1',
      cells: {
        'what it asks, in our words': 'Only those who need the logs read them.',
        'what the service does': expect.stringMatching(/^Reading requires/),
        'what the operator does': '',
      },
      details: '',
      code: [],
      tests: expect.arrayContaining([
        {
          file: 'src/database/roles.spec.ts',
          test: 'has read-only transactions, which end',
          result: 'not run',
          at: null,
        },
      ]),
    });
    const { code } = requirements.find(({ requirement }) => requirement === '10.3.4')!;
    expect(code).toEqual(['src/audit-log/sequencer.ts', 'src/tlog/export-verifier.ts', 'commands/audit-verify.ts']);
  });

  it('is at fault where its page is missing', () => {
    expect(describeCompliance(DIRECTORY, NOTHING).faults).toEqual([expect.stringMatching(/is not here/)]);
  });

  it('is at fault when a test failed, and tells how many were not run', () => {
    const report = writeReport('failed.json', 1, [
      { ancestorTitles: ['the role'], title: 'has read-only transactions, which end', status: 'failed' },
    ]);
    const text = readFileSync(report, 'utf8').replace('one.spec.ts', 'database/roles.spec.ts');
    writeFileSync(report, text);
    const { faults, open } = describeCompliance('.', TestResults.read([report]));
    expect(faults).toEqual([
      '10.3.1: the test “has read-only transactions, which end” of src/database/roles.spec.ts failed.',
    ]);
    expect(open).toContainEqual(expect.stringMatching(/^\d+ of the cited tests are in no report/));
  });
});

describe('the results of tests', () => {
  it.each([
    ['its title', 'from the header x-spiffe-id', 'passed'],
    ['a title with a placeholder', 'from the header %s', 'passed'],
    ['the title of its group', 'no identity is taken', 'passed'],
    ['the name of its row', 'x-spiffe-id', 'passed'],
    ['a title that no test has', 'from a cookie', 'not run'],
  ])('are found by %s', (_what, quoted, result) => {
    const results = TestResults.read([writeReport('report.json', 1_000, [PASSED])]);
    expect(results.find('src/one.spec.ts', quoted)).toEqual({
      result,
      at: result === 'passed' ? '1970-01-01T00:00:01.000Z' : undefined,
    });
    expect(results.find('other/src/two.spec.ts', quoted).result).toBe('not run');
  });

  it('are failed if one row of a table failed', () => {
    const failed = { ...PASSED, title: 'from the header forwarded', status: 'failed' };
    const results = TestResults.read([writeReport('rows.json', 1_000, [PASSED, failed])]);
    expect(results.find('src/one.spec.ts', 'from the header %s').result).toBe('failed');
  });

  it('are not run if the test was skipped', () => {
    const results = TestResults.read([writeReport('skipped.json', 1_000, [{ ...PASSED, status: 'pending' }])]);
    expect(results.find('src/one.spec.ts', PASSED.title)).toEqual({ result: 'not run', at: undefined });
  });

  it('of the later run count, in whatever order the files come', () => {
    const early = writeReport('early.json', 1_000, [{ ...PASSED, status: 'failed' }]);
    const late = writeReport('late.json', 2_000, [PASSED]);
    for (const files of [
      [early, late],
      [late, early],
    ])
      expect(TestResults.read(files).find('src/one.spec.ts', PASSED.title)).toEqual({
        result: 'passed',
        at: '1970-01-01T00:00:02.000Z',
      });
  });

  it.each([
    ['no JSON', 'passed'],
    ['JSON of something else', '{"passed":true}'],
  ])('are refused if the file is %s', (_what, text) => {
    const path = join(DIRECTORY, 'wrong.json');
    writeFileSync(path, text);
    expect(() => TestResults.read([path])).toThrow(ResultsError);
  });
});
