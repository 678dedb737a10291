/**
 * `npm run conformance` runs the specs of both ceremonies, of the dictionaries that a browser writes and of the attestation
 * formats, and writes docs/webauthn-conformance.md from their titles. With `--check` it writes nothing, and fails when the
 * page differs from the titles. It always fails when a step or a field has no test.
 *
 * In the spec of a ceremony, a `describe` names its step (`step 5: …`, `steps 10 and 11: …`). In the spec of a format or a
 * dictionary, a `describe` names a field and quotes its clause, and a test begins with `accepts`, `refuses` or
 * `is stricter than the clause for`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EXIT, type Program, readArguments } from '../commands/command-line.js';
import { Workspace } from './workspace.js';

const PROGRAM = {
  command: 'npm run conformance --',
  usage: ['[--check]'],
  about: 'Runs the specs of WebAuthn and writes docs/webauthn-conformance.md from the titles of their tests.',
  options: { check: { text: 'Writes nothing, and fails when the page differs from the titles.' } },
  examples: ['', '--check'],
  exitCodes: {
    [EXIT.done]: 'The page is up to date.',
    [EXIT.failed]: 'The page differs, a test fails, or a step or a field has no test.',
    [EXIT.couldNotRun]: 'The arguments are wrong.',
  },
} as const satisfies Program;
const { values } = readArguments(PROGRAM);

/** The number of steps in each section. */
const SECTIONS = { '§7.1 Registering a New Credential': 29, '§7.2 Verifying an Authentication Assertion': 25 };
/** The attestation formats, in the order of §8; each has a spec. */
const FORMATS = [
  '§8.2 Packed attestation',
  '§8.3 TPM attestation',
  '§8.4 Android Key attestation',
  '§8.6 FIDO U2F attestation',
  '§8.7 None attestation',
  '§8.8 Apple anonymous attestation',
];
/** The members that a caller fills in. */
const OPTIONS = ['§5.4 and §5.5 options, where they come from a caller'];
/** The dictionaries that a browser writes. */
const DICTIONARIES = [
  '§5.1 RegistrationResponseJSON and AuthenticationResponseJSON',
  '§5.2.1 AuthenticatorAttestationResponseJSON',
  '§5.2.2 AuthenticatorAssertionResponseJSON',
  '§5.8.1 CollectedClientData',
];
const SPECS =
  'src/webauthn/(verify-|collected-client-data|packed|tpm|android-key|fido-u2f|attestation-statement|apple)|src/(credentials/dto/ceremony-answer|challenges/dto/options-in)';
const PAGE = 'docs/webauthn-conformance.md';

interface Test {
  readonly ancestorTitles: string[];
  readonly title: string;
  readonly status: string;
}

async function run(): Promise<Test[]> {
  const workspace = new Workspace('conformance');
  const output = join(workspace.directory, 'results.json');
  const flags = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '-w',
    '1',
  ];
  try {
    const jest = [...flags, SPECS, '--json', `--outputFile=${output}`];
    await once(spawn(process.execPath, jest, { stdio: 'ignore' }), 'exit');
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as { testResults: { assertionResults: Test[] }[] };
    return testResults.flatMap(({ assertionResults }) => assertionResults);
  } finally {
    await workspace.end();
  }
}

/** Splits `step 5: …`, `steps 10 and 11: …` and `steps 1 to 4: …` into label, numbers and clause. */
function parseStep(title: string): { label: string; numbers: number[]; clause: string } {
  const [, label, first, word, last, clause] = /^steps? ((\d+)(?: (to|and) (\d+))?): (.*)$/s.exec(title) ?? [];
  if (label === undefined || clause === undefined) return { label: '', numbers: [], clause: title };
  const [from, to] = [Number(first), Number(word === undefined ? first : last)];
  return { label, numbers: Array.from({ length: to - from + 1 }, (_, offset) => from + offset), clause };
}

/** Escapes a title for a cell or an item of Markdown. */
function escape(title: string): string {
  return title.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_');
}

/** Returns the tests of a section by their `describe`. @throws Error when one fails */
function groupTests(name: string, tests: Test[]): Map<string, Test[]> {
  const own = tests.filter(({ ancestorTitles }) => ancestorTitles[0] === `WebAuthn L3 ${name}`);
  const failed = own.filter(({ status }) => status !== 'passed');
  if (failed.length > 0) throw new Error(`${name}: ${String(failed.length)} tests fail`);
  return Map.groupBy(own, ({ ancestorTitles }) => ancestorTitles[1] ?? '');
}

const REJECTS = /^rejects (.*): ([a-z]+(?:-[a-z]+)+|malformed)$/s;

/** Lists the tests of a step: first the refused answers by their reason, then the others. */
function listTests(group: Test[]): string[] {
  const shown = group.map(({ ancestorTitles, title }) => [...ancestorTitles.slice(2), title].join(', '));
  const rejected = Map.groupBy(
    shown.filter((title) => REJECTS.test(title)),
    (title) => REJECTS.exec(title)![2]!,
  );
  return [
    ...[...rejected].map(([reason, titles]) => {
      const answers = titles.map((title) => escape(REJECTS.exec(title)![1]!));
      return `  - rejects as \`${reason}\`: ${answers.join('; ')}`;
    }),
    ...shown.filter((title) => !REJECTS.test(title)).map((title) => `  - ${escape(title)}`),
  ];
}

/** A row for each step with the number of its tests, and the tests below the table. */
function describeSteps(name: string, steps: number, tests: Test[]): string[] {
  const groups = [...groupTests(name, tests)].map(([title, group]) => ({ ...parseStep(title), group }));
  const covered = new Set(groups.flatMap(({ numbers }) => numbers));
  const missing = Array.from({ length: steps }, (_, index) => index + 1).filter((step) => !covered.has(step));
  if (missing.length > 0) throw new Error(`${name}: no test names step ${missing.join(', ')}`);
  const named = groups.map(({ label, clause, group }) => ({ label, clause: clause || 'beyond the steps', group }));
  const rows = named.map(({ label, clause, group }) => `| ${label} | ${escape(clause)} | ${String(group.length)} |`);
  const items = named.flatMap(({ label, clause, group }) => [
    `- **${label && `${label}: `}${escape(clause)}**`,
    ...listTests(group),
  ]);
  return [`## ${name}`, '', '| step | clause | tests |', '| --- | --- | --- |', ...rows, '', ...items, ''];
}

const KINDS = ['accepts ', 'refuses ', 'is stricter than the clause for '] as const;
const LABELS = ['accepts', 'refuses', 'is stricter than the clause for'];

/** A row for each field with its clause and the number of its tests, and the tests below the table. */
function describeFields(name: string, tests: Test[]): string[] {
  const groups = [...groupTests(name, tests)].filter(([title]) => title !== '');
  if (groups.length === 0) throw new Error(`${name}: no test names a field`);
  const fields = groups.map(([title, group]) => {
    const [field, clause] = title.split(/: (.*)/s);
    if (!field || !clause) throw new Error(`${name}: “${title}” does not quote the clause of the field`);
    const odd = group.find((test) => !KINDS.some((kind) => test.title.startsWith(kind)));
    if (odd) throw new Error(`${name}, ${title}: “${odd.title}” begins with none of “${LABELS.join('”, “')}”`);
    const details = KINDS.flatMap((kind, index) => {
      const titles = group.filter((test) => test.title.startsWith(kind)).map((test) => test.title.slice(kind.length));
      return titles.length === 0 ? [] : [`  - ${LABELS[index]!}: ${escape(titles.join('; '))}`];
    });
    return {
      row: `| ${escape(field)} | ${escape(clause)} | ${String(group.length)} |`,
      item: [`- **${escape(field)}**`, ...details],
    };
  });
  const head = ['| field | clause | tests |', '| --- | --- | --- |'];
  return [`### ${name}`, '', ...head, ...fields.map(({ row }) => row), '', ...fields.flatMap(({ item }) => item), ''];
}

const tests = await run();
const page = [
  '# WebAuthn Level 3, step by step',
  '',
  'This page says how the service follows [WebAuthn Level 3](https://www.w3.org/TR/webauthn-3/), and which tests show it.',
  '`npm run conformance` writes it from the titles of the tests; do not edit it by hand.',
  '',
  '- §7.1 and §7.2 list every step of the two ceremonies. A refusal has its step in the audit log (`webauthn_step`).',
  '- §5 and §8 list every member and field: the clause in our words, and the values that the service accepts and refuses.',
  '  “Is stricter than the clause for” gives the reason where the service refuses a value that the clause allows.',
  '- Each table is an overview with the number of tests; the list below it has the tests.',
  '',
  'The tests of [src/credentials](../src/credentials) and [test](../test) cover the further requirements of a relying party’s',
  'policy.',
  '',
  ...Object.entries(SECTIONS).flatMap(([name, steps]) => describeSteps(name, steps, tests)),
  '## §5 Members that a caller sends',
  '',
  'The service itself sets the other members of the options: the RP ID of the relying party, a user handle and a challenge of 32',
  'random bytes each, and the user’s passkeys, at most 64.',
  '',
  ...OPTIONS.flatMap((name) => describeFields(name, tests)),
  '## §5 Members that a browser sends',
  '',
  'The service ignores unknown members in the browser’s part of a request, and refuses them in the caller’s part. The steps above',
  'judge the values of the members.',
  '',
  ...DICTIONARIES.flatMap((name) => describeFields(name, tests)),
  '## §8 Attestation statement formats, field by field',
  '',
  'These tables ask if a statement is true. Its trust is a separate question: the service registers a statement that it accepts',
  '“as untrusted” unless the policy requires trust. It ignores members of a statement that its clause does not define. It',
  'bounds fields that a clause does not bound: at most eight certificates of 8 KiB each',
  '([certificate-bounds.ts](../src/webauthn/certificate-bounds.ts)).',
  '',
  ...FORMATS.flatMap((name) => describeFields(name, tests)),
  '## Algorithms and formats that the service does not verify',
  '',
  'The service does not register passkeys with them.',
  '',
  '| algorithm or format | reason |',
  '| --- | --- |',
  '| Ed448 (COSE -53) | We know of no authenticator that has it; only the specification’s own test vector does. |',
  '| ES256K (COSE -47) | We know of no authenticator that has it; only the specification’s own test vector does. |',
  '| `compound` | We know of no client that sends it. |',
  '| `android-safetynet` | Google has retired it. |',
  '',
].join('\n');

if (!values.check) {
  writeFileSync(PAGE, page);
  console.log(`${PAGE}: ${String(tests.length)} tests`);
} else if (readFileSync(PAGE, 'utf8') !== page) {
  console.error(`${PAGE} differs from the titles of the tests: run npm run conformance`);
  process.exit(1);
}
