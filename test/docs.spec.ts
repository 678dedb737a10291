import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const CITING = ['docs/threat-model.md', 'docs/compliance.md'];
const PAGES = [...CITING, 'README.md', 'docs/runbook.md', 'CONTRIBUTING.md', 'SECURITY.md'];

/** In backticks: below a folder of the repository, or one of its files at the top. Patterns name no file. */
const PATH =
  /`((?:src|test|tools|docs|deploy|bench|clients|examples|dist)\/[^`\s*…{}]*|[\w.-]+\.(?:json|yml|md|js)|Dockerfile)`/g;
const LINK = /\]\((?!https?:|#)([^)#\s]+)(#[^)\s]+)?\)/g;
/** A file of tests, and the names that follow it up to the next code span or cell. */
const CITATION = /`([^`]+spec\.ts)`((?:[,;]? “[^”]+”)+)/g;
/** What a build or a start makes. */
const MADE = /^(?:openapi\.json|audit\.pub)$/;

const read = (page: string): string => readFileSync(page, 'utf8');

/** `dist/src/x.js` is made from `src/x.ts`. */
const sourceOf = (path: string): string =>
  path.startsWith('dist/') ? path.slice('dist/'.length).replace(/\.js$/, '.ts') : path;

describe.each(PAGES)('%s', (page) => {
  it('names paths that exist', () => {
    const paths = [...read(page).matchAll(PATH)].map(([, path = '']) => path).filter((path) => !MADE.test(path));
    expect(paths.filter((path) => !existsSync(sourceOf(path)))).toEqual([]);
  });

  it('links to what is there', () => {
    const broken = [...read(page).matchAll(LINK)]
      .map(([, target = '', anchor]) => ({ path: join(dirname(page), target), anchor: anchor?.slice(1) }))
      .filter(({ path, anchor }) => !existsSync(path) || (anchor !== undefined && !anchorsOf(path).includes(anchor)));
    expect(broken).toEqual([]);
  });
});

describe.each(CITING)('%s', (page) => {
  const citations = [...read(page).matchAll(CITATION)].flatMap(([, file = '', names = '']) =>
    [...names.matchAll(/“([^”]+)”/g)].map(([, name = '']) => [file, name] as const),
  );

  it('cites tests', () => {
    expect(citations.length).toBeGreaterThan(50);
    const cited = read(page).match(/“[^”]+”/g)?.length;
    expect(citations).toHaveLength(cited ?? 0);
  });

  it.each(citations)('%s has the test “%s”', (file, name) => {
    expect(titlesOf(file)).toContain(name);
  });
});

/** The titles in a file of tests and the names in its tables, as they are written there. */
function titlesOf(file: string): string[] {
  return [...read(file).matchAll(/(['"`])((?:(?!\1)[^\\\n]|\\.)+)\1(?=,)/gm)].map(([, , title = '']) =>
    title.replaceAll("\\'", "'"),
  );
}

/** As GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
