/**
 * `npm run conformance`: runs the specs of both ceremonies and writes docs/webauthn-conformance.md from what they say.
 * `--check` writes nothing and fails when the page is not what the specs say now, or when a step has no test.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How many steps each section has. */
const SECTIONS = { '§7.1 Registering a New Credential': 29, '§7.2 Verifying an Authentication Assertion': 25 };
const PAGE = 'docs/webauthn-conformance.md';

interface Test {
  readonly ancestorTitles: string[];
  readonly title: string;
  readonly status: string;
}

function run(): Test[] {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  const output = join(directory, 'results.json');
  const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning', 'node_modules/jest/bin/jest.js'];
  try {
    spawnSync(process.execPath, [...flags, 'src/webauthn/verify-', '--json', `--outputFile=${output}`], {
      stdio: 'pipe',
    });
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as { testResults: { assertionResults: Test[] }[] };
    return testResults.flatMap(({ assertionResults }) => assertionResults);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The numbers in `step 5: …`, `steps 10 and 11: …`, `steps 1 to 4: …`. */
function numbersOf(title: string): number[] {
  const [, first, word, last] = /^steps? (\d+)(?: (to|and) (\d+))?:/.exec(title) ?? [];
  if (first === undefined) return [];
  if (word === undefined) return [Number(first)];
  const [from, to] = [Number(first), Number(last)];
  return Array.from({ length: to - from + 1 }, (_, offset) => from + offset);
}

/** Random values have no place in a page that is compared. */
function escape(title: string): string {
  return title.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_');
}

function section(name: string, steps: number, tests: Test[]): string[] {
  const own = tests.filter(({ ancestorTitles }) => ancestorTitles[0] === `WebAuthn L3 ${name}`);
  const groups = Map.groupBy(own, ({ ancestorTitles }) => ancestorTitles[1] ?? 'besides');
  const covered = new Set([...groups.keys()].flatMap(numbersOf));
  const missing = Array.from({ length: steps }, (_, index) => index + 1).filter((step) => !covered.has(step));
  if (missing.length > 0) throw new Error(`${name}: no test names step ${missing.join(', ')}`);
  const failed = own.filter(({ status }) => status !== 'passed');
  if (failed.length > 0) throw new Error(`${name}: ${String(failed.length)} tests fail`);
  const rows = [...groups].map(([title, group]) => {
    const shown = group.map((test) => escape([...test.ancestorTitles.slice(2), test.title].join(', ')));
    return `| ${escape(title)} | ${shown.join('<br>')} |`;
  });
  return [`## ${name}`, '', '| step | tests |', '| --- | --- |', ...rows, ''];
}

const tests = run();
const page = [
  '# WebAuthn Level 3, step by step',
  '',
  'Made from the tests by `npm run conformance`: every step of the two ceremonies of [WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/)',
  'with the tests that hold it. A refusal names its step in the audit log (`webauthn_step`). What a relying party’s policy',
  'demands beyond these steps is in the tests of [src/credentials](../src/credentials) and [test](../test).',
  '',
  ...Object.entries(SECTIONS).flatMap(([name, steps]) => section(name, steps, tests)),
  '## What is not verified, and so not registered',
  '',
  '| what | why |',
  '| --- | --- |',
  '| Ed448 (COSE -53) | SimpleWebAuthn verifies its registrations but no assertion; what cannot be verified later is not offered. |',
  '| ES256K (COSE -47) | The same. |',
  '| A TPM whose vendor id is zero | SimpleWebAuthn knows no such manufacturer; only the specification’s own test vector has one. |',
  '| `fido-u2f` with an AAGUID other than zero | U2F does not sign the AAGUID, so nothing vouches for it. |',
  '| `android-safetynet` | Withdrawn by its maker. |',
  '',
].join('\n');

if (!process.argv.includes('--check')) {
  writeFileSync(PAGE, page);
  console.log(`${PAGE}: ${String(tests.length)} tests`);
} else if (readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} is not what the tests say: npm run conformance`);
  process.exit(1);
}
