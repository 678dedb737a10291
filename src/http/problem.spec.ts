import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ADVICE, REASONS } from '../webauthn/refusal.js';
import { appendPointer, PROBLEMS, type ProblemSlug } from './problem.js';

const SLUGS = Object.keys(PROBLEMS) as ProblemSlug[];
const CHALLENGES = new URL('../challenges/', import.meta.url);

/** Maps each second-level heading to the text below it. */
const sections = new Map(
  readFileSync(new URL('../../docs/problems.md', import.meta.url), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n')).trim()]),
);

/** Reads the first column of the table below a heading. */
function listReasons(heading: string): string[] {
  return [...(sections.get(heading) ?? '').matchAll(/^\| `([^`]+)` /gm)].map(([, reason]) => reason!);
}

/** Finds every reason that src/challenges gives to a refusal. */
function listPolicyReasons(): string[] {
  const files = readdirSync(CHALLENGES).filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'));
  const source = files.map((name) => readFileSync(new URL(name, CHALLENGES), 'utf8')).join('\n');
  return [...source.matchAll(/(?:\breason: |\breject\(\s*)'([^']+)'/g)].map(([, reason]) => reason!);
}

describe('docs/problems.md', () => {
  it('has a heading for every problem, and for no other', () => {
    const slugs = [...sections.keys()].filter((heading) => /^[a-z-]+$/.test(heading));
    expect(slugs).toEqual(SLUGS);
  });

  it.each(SLUGS)('gives the status and the title of %s', (slug) => {
    const { status, title } = PROBLEMS[slug];
    expect(sections.get(slug)?.split('\n')[0]).toBe(`**${String(status)}** · ${title}`);
  });

  it.each(SLUGS)('shows %s as it is sent', (slug) => {
    const [, json = ''] = /^```json\n(.*?)^```/ms.exec(sections.get(slug) ?? '') ?? [];
    const { status, title } = PROBLEMS[slug];
    expect(JSON.parse(json)).toMatchObject({ type: `urn:passkey-manager:problem:${slug}`, title, status });
  });

  it.each(SLUGS)('says when %s happens and what to do about it', (slug) => {
    expect(sections.get(slug)).toMatch(/^When: .+^Do: /ms);
  });

  it('lists every reason for which a ceremony is refused, and no other', () => {
    expect(listReasons('Reasons of a refused ceremony')).toEqual(REASONS);
  });

  it.each(REASONS)('gives the same advice on %s as the answer', (reason) => {
    const row = new RegExp(`^\\| \`${reason}\` .*\\| (.*?) +\\|$`, 'm').exec(
      sections.get('Reasons of a refused ceremony') ?? '',
    );
    expect(row?.[1]).toBe(ADVICE[reason]);
  });

  it('lists every reason for which a policy forbids an answer, and no other', () => {
    const listed = listReasons('Reasons of a policy that forbids');
    expect(listed.toSorted()).toEqual([...new Set(listPolicyReasons())].toSorted());
  });
});

describe('a JSON pointer (RFC 6901)', () => {
  it.each([
    ['', 'name', '/name'],
    ['/a', '0', '/a/0'],
    ['', '', '/'],
    ['', 'a/b', '/a~1b'],
    ['', 'm~n', '/m~0n'],
    ['', '~1', '/~01'],
    ['/a~1b', '/', '/a~1b/~1'],
  ])('to the member of an object escapes its name: "%s" and "%s" give %s', (parent, name, pointer) => {
    expect(appendPointer(parent, name)).toBe(pointer);
  });

  it('cuts a long name, and never cuts an escape in half', () => {
    expect(appendPointer('', '~'.repeat(60_000))).toBe(`/${'~0'.repeat(256)}`);
  });

  it('never cuts a character in half', () => {
    expect(appendPointer('', `a${'😀'.repeat(200)}`)).toBe(`/a${'😀'.repeat(127)}\ufffd`);
  });
});
