import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { ADVICE, REASONS } from '../../src/webauthn/refusal.js';
import { PROBLEMS } from '../../src/http/problem.js';
import { CEREMONY_REASONS } from './reasons.js';
import { COUNTED_PROBLEMS, explainRefusal, FAULTS, LIMIT_REASONS, nameFaults, POLICY_REASONS } from './refusals.js';

const problems = readFileSync('docs/problems.md', 'utf8');
const runbook = readFileSync('docs/runbook.md', 'utf8');
const conformance = readFileSync('docs/webauthn-conformance.md', 'utf8');
const { components } = parse(readFileSync('src/openapi/openapi.yaml', 'utf8')) as {
  components: { schemas: Record<string, { enum: string[] }> };
};

const listed = (schema: string): string[] => components.schemas[schema]!.enum;

/** The rows of a table of docs/problems.md: reason and meaning, without marks. */
function meaningsBelow(heading: string): Record<string, string> {
  const [section = ''] = new RegExp(`^## ${heading}$.*?(?=^## |\\z)`, 'ms').exec(`${problems}\n## `) ?? [];
  const rows = section.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|/gm);
  return Object.fromEntries(Array.from(rows, ([, reason = '', meaning = '']) => [reason, plain(meaning)]));
}

const plain = (text: string): string => text.replaceAll('`', '').replaceAll("'", '’');

const meanings = (notes: Readonly<Record<string, { meaning: string }>>): Record<string, string> =>
  Object.fromEntries(Object.entries(notes).map(([reason, { meaning }]) => [reason, meaning]));

/** The anchors of a page's headings, as GitHub makes them. */
const anchors = Array.from(runbook.matchAll(/^#+ (.*)$/gm), ([, heading = '']) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\s-]/g, '')
    .trim()
    .replaceAll(' ', '-'),
);

/** The steps that a section of docs/webauthn-conformance.md lists, such as `18 and 19` or `1 to 4`. */
function stepsOf(section: string): number[] {
  const [text = ''] = new RegExp(`^## ${section} .*?(?=^## )`, 'ms').exec(conformance) ?? [];
  return Array.from(text.matchAll(/^\| (\d+)(?: (to|and) (\d+))? \|/gm)).flatMap(([, from, , to = from]) =>
    Array.from({ length: Number(to) - Number(from) + 1 }, (_, at) => Number(from) + at),
  );
}

const all = [...REASONS, ...Object.keys({ ...POLICY_REASONS, ...LIMIT_REASONS, ...COUNTED_PROBLEMS })];

describe('the explanations of refusals', () => {
  it('have an entry for each reason of the contract’s closed lists, and for no other', () => {
    expect(Object.keys(CEREMONY_REASONS)).toEqual(listed('CeremonyReason'));
    expect(Object.keys(POLICY_REASONS).toSorted()).toEqual(listed('PolicyReason').toSorted());
    expect(Object.keys(LIMIT_REASONS).toSorted()).toEqual(listed('UserLimitReason').toSorted());
  });

  it('say what docs/problems.md says', () => {
    expect(meanings(CEREMONY_REASONS)).toEqual(meaningsBelow('Reasons of a refused ceremony'));
    expect(meanings(POLICY_REASONS)).toEqual(meaningsBelow('Reasons of a policy that forbids'));
  });

  it('name the problems that statistics count by their slugs', () => {
    expect(Object.keys(PROBLEMS)).toEqual(expect.arrayContaining(Object.keys(COUNTED_PROBLEMS)));
  });

  it.each(all)(
    'explain %s: its meaning, whose doing it is, what to do and a page of the runbook that exists',
    (reason) => {
      const { meaning, advice, faults, runbook: anchor } = explainRefusal(reason)!;
      expect(meaning).toMatch(/\.\)?$/);
      expect(advice).toMatch(/\.$/);
      expect(faults.length).toBeGreaterThan(0);
      expect(anchors).toContain(anchor);
    },
  );

  it('give the advice that the service gives its callers', () => {
    expect(Object.fromEntries(REASONS.map((reason) => [reason, explainRefusal(reason)!.advice]))).toEqual(ADVICE);
  });

  it('name only steps that docs/webauthn-conformance.md has, and clauses of Secure Payment Confirmation', () => {
    const steps = { '§7.1': stepsOf('§7.1'), '§7.2': stepsOf('§7.2') };
    expect(steps['§7.2']).toContain(19);
    const unknown = all
      .flatMap((reason) => explainRefusal(reason)!.clauses)
      .filter((clause) => {
        const [, section, step] = /^(§7\.[12]) step (\d+)$/.exec(clause) ?? [];
        return section ? !steps[section as keyof typeof steps].includes(Number(step)) : !/^SPC §\d/.test(clause);
      });
    expect(unknown).toEqual([]);
  });

  it('name the step of each refusal that src/webauthn/refusals.spec.ts causes', () => {
    const spec = readFileSync('src/webauthn/refusals.spec.ts', 'utf8');
    const halves = spec.split('describe(').slice(1);
    const caused = halves.flatMap((half, at) =>
      Array.from(half.matchAll(/\[\s*(\d+),\s*'([a-z-]+)',/g), ([, step = '', reason = '']) => ({
        reason,
        clause: `§7.${String(at + 1)} step ${step}`,
      })),
    );
    expect(caused.length).toBeGreaterThan(30);
    expect(caused.filter(({ reason, clause }) => !explainRefusal(reason)?.clauses.includes(clause))).toEqual([]);
  });

  it('have none for a reason that a later version adds, or for a member that every object inherits', () => {
    expect(['moon-phase', 'constructor', '__proto__'].map(explainRefusal)).toEqual([undefined, undefined, undefined]);
  });

  it('join whose doing it may be into a sentence', () => {
    expect(nameFaults(['caller', 'attacker'])).toBe(`${FAULTS.caller}; or ${FAULTS.attacker}`);
  });
});
