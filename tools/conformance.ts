/**
 * `npm run conformance`: runs the specs of both ceremonies, of the dictionaries that a browser writes and of the attestation
 * formats, and writes docs/webauthn-conformance.md from their titles. `--check` writes nothing and fails when the page differs from
 * the titles, or when a step or a field has no test.
 *
 * In the spec of a format or a dictionary, a `describe` names a field and quotes its clause, and a test begins with `accepts`,
 * `refuses` or `is stricter than the clause for`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How many steps each section has. */
const SECTIONS = { '§7.1 Registering a New Credential': 29, '§7.2 Verifying an Authentication Assertion': 25 };
/** A spec for each attestation format, in the order of §8. */
const FORMATS = [
  '§8.2 Packed attestation',
  '§8.3 TPM attestation',
  '§8.4 Android Key attestation',
  '§8.6 FIDO U2F attestation',
  '§8.7 None attestation',
  '§8.8 Apple anonymous attestation',
];
/** What a caller fills in. */
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

function run(): Test[] {
  const directory = mkdtempSync(join(tmpdir(), 'conformance-'));
  const output = join(directory, 'results.json');
  const flags = [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
    '-w',
    '1',
  ];
  try {
    spawnSync(process.execPath, [...flags, SPECS, '--json', `--outputFile=${output}`], {
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

const KINDS = ['accepts ', 'refuses ', 'is stricter than the clause for '] as const;

/** A row for each field of a format or a dictionary: what the clause says, what is accepted, what is refused, where we are stricter. */
function fields(name: string, tests: Test[]): string[] {
  const own = tests.filter(
    ({ ancestorTitles }) => ancestorTitles[0] === `WebAuthn L3 ${name}` && ancestorTitles.length > 1,
  );
  const failed = own.filter(({ status }) => status !== 'passed');
  if (failed.length > 0) throw new Error(`${name}: ${String(failed.length)} tests fail`);
  const groups = Map.groupBy(own, ({ ancestorTitles }) => ancestorTitles[1]!);
  if (groups.size === 0) throw new Error(`${name}: no test names a field`);
  const rows = [...groups].map(([title, group]) => {
    const [field, clause] = title.split(/: (.*)/s);
    if (!field || !clause) throw new Error(`${name}: “${title}” does not say what the clause says of the field`);
    const odd = group.find((test) => !KINDS.some((kind) => test.title.startsWith(kind)));
    if (odd) throw new Error(`${name}, ${title}: “${odd.title}” says neither what is accepted nor what is refused`);
    const cells = KINDS.map((kind) => {
      const titles = group.filter((test) => test.title.startsWith(kind)).map((test) => test.title.slice(kind.length));
      return escape(titles.join('; '));
    });
    return `| ${escape(field)} | ${escape(clause)} | ${cells.join(' | ')} |`;
  });
  const head = [
    '| field | the clause | accepted | refused | stricter than the clause, for |',
    '| --- | --- | --- | --- | --- |',
  ];
  return [`### ${name}`, '', ...head, ...rows, ''];
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
  '## §5 What a caller asks for, member by member',
  '',
  'The other members of the options are the service’s own: the RP ID of the relying party, a user handle and a challenge of 32',
  'random bytes each, and the user’s passkeys, 64 at most.',
  '',
  ...OPTIONS.flatMap((name) => fields(name, tests)),
  '## §5 What a browser writes, member by member',
  '',
  'The browser’s part of a request may grow; the caller’s part is strict. The steps above judge the values of the members.',
  '',
  ...DICTIONARIES.flatMap((name) => fields(name, tests)),
  '## §8 Attestation statement formats, field by field',
  '',
  'These tables ask whether a statement is true. Its trust is a question apart: a statement that is accepted “as untrusted” is',
  'registered unless the policy asks for trust. The service ignores members of a statement that its clause does not define. It',
  'bounds fields that a clause does not bound: at most eight certificates of 8 KiB each',
  '([certificate-bounds.ts](../src/webauthn/certificate-bounds.ts)).',
  '',
  ...FORMATS.flatMap((name) => fields(name, tests)),
  '## What is not verified, and so not registered',
  '',
  '| what | why |',
  '| --- | --- |',
  '| Ed448 (COSE -53) | No authenticator that we know of has it; only the specification’s own test vector does. |',
  '| ES256K (COSE -47) | The same. |',
  '| `compound` | No client that we know of sends it. |',
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
