/**
 * `npm run conformance` runs the specs of both ceremonies, of the dictionaries that a browser writes and of the attestation
 * formats, and writes docs/webauthn-conformance.md from their titles; and docs/payment-conformance.md from those of Secure
 * Payment Confirmation; and docs/ssf-conformance.md from the rules of Shared Signals (signal-conformance.ts). With `--check` it writes nothing, and fails when a page differs from the titles. It always fails when
 * a step or a field has no test.
 *
 * In the spec of a ceremony, a `describe` names its step (`step 5: …`, `steps 10 and 11: …`); in that of a payment, the step
 * with its specification (`SPC §9.1 step 2.5.6: …`). In the spec of a format or a
 * dictionary, a `describe` names a field and quotes its clause, and a test begins with `accepts`, `refuses` or
 * `is stricter than the clause for`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { EXIT, type Program, readArguments } from '../commands/command-line.js';
import { describeSignals, SIGNAL_SPECS } from './signal-conformance.js';
import { Workspace } from './workspace.js';

const PROGRAM = {
  command: 'npm run conformance --',
  usage: ['[--check]'],
  about:
    'Runs the specs of WebAuthn, of Secure Payment Confirmation and of Shared Signals, and writes docs/webauthn-conformance.md, docs/payment-conformance.md and docs/ssf-conformance.md from the titles of their tests.',
  options: { check: { text: 'Writes nothing, and fails when a page differs from the titles.' } },
  examples: ['', '--check'],
  exitCodes: {
    [EXIT.done]: 'The pages are up to date.',
    [EXIT.failed]: 'A page differs, a test fails, or a step, a field or a rule has no test.',
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
/** The steps of a payment in the order in which the service takes them. */
const PAYMENT_STEPS = [
  ...[5, 6, 7, 8, 9, 10, 11, 12].map((step) => `§7.2 step ${String(step)}`),
  '§7.2 steps 13 and 14',
  ...[1, 2, 3, 4, 5, 6, 7].map((item) => `SPC §9.1 step 2.5.${String(item)}`),
  ...[15, 16, 17].map((step) => `§7.2 step ${String(step)}`),
  '§7.2 steps 18 and 19',
  '§7.2 steps 20 and 21',
  '§7.2 step 22',
  'SPC §6.4',
  'SPC §6.5',
];
const SPECS =
  'src/webauthn/(verify-|payment-data|browser-bound-key|collected-client-data|packed|tpm|android-key|fido-u2f|attestation-statement|apple)|src/(credentials/dto/ceremony-answer|challenges/dto/options-in)';

interface Test {
  /** From the root of the project. */
  readonly file: string;
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
    const jest = [...flags, SPECS, SIGNAL_SPECS, '--json', `--outputFile=${output}`];
    await once(spawn(process.execPath, jest, { stdio: 'ignore' }), 'exit');
    const { testResults } = JSON.parse(readFileSync(output, 'utf8')) as {
      testResults: { name: string; assertionResults: Omit<Test, 'file'>[] }[];
    };
    return testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((test) => ({ ...test, file: relative(process.cwd(), name) })),
    );
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
function groupTests(name: string, tests: Test[], specification = 'WebAuthn L3'): Map<string, Test[]> {
  const own = tests.filter(({ ancestorTitles }) => ancestorTitles[0] === `${specification} ${name}`);
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

/** The same for a payment, whose steps are those of two specifications. */
function describePayment(tests: Test[]): string[] {
  const name = '§9.1 Verifying an Authentication Assertion';
  const groups = new Map(
    [...groupTests(name, tests, 'SPC')].map(([title, group]) => {
      const [, label = '', also = '', clause = title] = /^(.+?)(?: \((.+?)\))?: (.*)$/s.exec(title) ?? [];
      return [label, { label: also ? `${label}, ${also}` : label, clause, group }] as const;
    }),
  );
  const unknown = [...groups.keys()].filter((label) => !PAYMENT_STEPS.includes(label));
  const missing = PAYMENT_STEPS.filter((label) => !groups.has(label));
  if (unknown.length > 0) throw new Error(`SPC ${name}: there is no step “${unknown.join('”, “')}”`);
  if (missing.length > 0) throw new Error(`SPC ${name}: no test names ${missing.join(', ')}`);
  const steps = PAYMENT_STEPS.map((label) => groups.get(label)!);
  const rows = steps.map(({ label, clause, group }) => `| ${label} | ${escape(clause)} | ${String(group.length)} |`);
  const items = steps.flatMap(({ label, clause, group }) => [`- **${label}: ${escape(clause)}**`, ...listTests(group)]);
  return ['| step | clause | tests |', '| --- | --- | --- |', ...rows, '', ...items, ''];
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
const webauthn = [
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

const payment = [
  '# Secure Payment Confirmation, step by step',
  '',
  'This page says how the service follows [Secure Payment Confirmation](https://www.w3.org/TR/secure-payment-confirmation/) (SPC),',
  'and which tests show it. `npm run conformance` writes it from the titles of the tests; do not edit it by hand.',
  '',
  '- The steps stand in the order in which the service takes them. Those of §7.2 are WebAuthn Level 3’s: SPC §9.1 step 2 takes',
  '  them over and changes some. SPC quotes the numbers of Level 2, and puts the items of step 2.5 behind the origin. Level 3 has',
  '  two more steps of origins there, so they come first. SPC does not number these items; we count them.',
  '- SPC says how a browser makes a browser-bound key (§6), but not how to verify it. The service does that last, because until',
  '  then nobody vouches for the key. No real device made the keys of these tests.',
  '- A refusal has its step in the audit log (`webauthn_step`). For `payment-mismatch` it has the `member` that differs, and no',
  '  value of it.',
  '- [test/chromium-payments.spec.ts](../test/chromium-payments.spec.ts) verifies payments that Chromium 156 made.',
  '  [src/webauthn/mutated-payments.spec.ts](../src/webauthn/mutated-payments.spec.ts) changes payments before they are signed.',
  '',
  'Where the service differs from the text of SPC:',
  '',
  '- `payment.instrument.iconMustBeShown` may be absent, whatever was sent: Chromium never writes it. The icon says if it was shown.',
  '- A total, a payee or an instrument is compared as text, after the caller’s own has the form in which a browser writes it.',
  '- All logos may be shown, though SPC says “a strict subset”.',
  '',
  ...describePayment(tests),
].join('\n');

const PAGES = {
  'docs/webauthn-conformance.md': webauthn,
  'docs/payment-conformance.md': payment,
  'docs/ssf-conformance.md': describeSignals(tests),
};
for (const [path, page] of Object.entries(PAGES)) {
  if (!values.check) {
    writeFileSync(path, page);
    console.log(`${path}: written from ${String(tests.length)} tests`);
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== page) {
    console.error(`${path} differs from the titles of the tests: run npm run conformance`);
    process.exitCode = EXIT.failed;
  }
}
