import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Contract } from './support/contract.js';

const CITING = ['docs/threat-model.md', 'docs/compliance.md'];
const PAGES = [
  ...CITING,
  'README.md',
  'docs/console.md',
  'docs/deployment.md',
  'docs/domain-change.md',
  'docs/evidence.md',
  'docs/runbook.md',
  'docs/payments.md',
  'docs/portability.md',
  'docs/portability-readers.md',
  'docs/problems.md',
  'docs/receipts.md',
  'docs/scaling.md',
  'docs/signals.md',
  'docs/glossary.md',
  'docs/performance.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'SECURITY.md',
  'bench/README.md',
  'deploy/monitoring/README.md',
  'clients/typescript/README.md',
  'clients/typescript/CHANGELOG.md',
  'deploy/helm/passkey-manager/README.md',
  'findings/README.md',
  ...listPages('docs/adr'),
  ...listPages('docs/walks'),
];

/** A path in backticks, below a folder of the repository or of a file at its top. A pattern does not match. */
const PATH =
  /`((?:src|commands|dev|test|tools|docs|deploy|bench|clients|examples|dist)\/[^`\s*…{}]*|[\w.-]+\.(?:json|yml|md|js)|Dockerfile)`/g;
const LINK = /\]\((?!https?:|#)([^)#\s]+)(#[^)\s]+)?\)/g;
/** A file of tests, and the names that follow it up to the next code span or line. */
const CITATION = /`([^`]+spec\.ts)`((?:[,;]? “[^”]+”)+)/g;
/** The header of a table whose rows need evidence. */
const TABLE = /^\| (?:no\.|number|control) /;
/** The last cell of a row that needs no evidence. */
const EXEMPT = /Not applicable|All of it\./;
/** An item of the list below such a table: the row's first cell, and at least one line of code or tests. */
const EVIDENCE = /^- \*\*([^*]+)\*\*.*\n {2}- /gm;
/** Files that a build, a start or `npm run evidence` makes. */
const MADE =
  /^(?:openapi\.json|audit\.pub|(?:architecture\.calm|[sc]bom\.cdx|access-matrix|audit-log|clocks|compliance|database-roles|evidence|key-ages|restores|reviews)\.json)$/;

/** The texts that must use the glossary's words: the source and the documents, except those about outside software. */
const TEXTS = [
  '*.md',
  '{src,commands,console,dev,docs,tools,bench,clients,examples,deploy,test}/**/*.{ts,mjs,md,yaml,yml,sql}',
];
const UNCHECKED = /node_modules|docs\/glossary\.md|test\/docs\.spec\.ts/;

const read = (page: string): string => readFileSync(page, 'utf8');

/** `dist/src/x.js` is made from `src/x.ts`. */
const sourceOf = (path: string): string =>
  path.startsWith('dist/') ? path.slice('dist/'.length).replace(/\.js$/, '.ts') : path;

describe.each(PAGES)('%s', (page) => {
  it('names only paths that exist', () => {
    const paths = [...read(page).matchAll(PATH)].map(([, path = '']) => path).filter((path) => !MADE.test(path));
    expect(paths.filter((path) => !existsSync(sourceOf(path)))).toEqual([]);
  });

  it('links only to pages and headings that exist', () => {
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

  it('cites more than 50 tests, and every quote is a citation', () => {
    expect(citations.length).toBeGreaterThan(50);
    const cited = read(page).match(/“[^”]+”/g)?.length;
    expect(citations).toHaveLength(cited ?? 0);
  });

  it('gives code or tests for each row of its tables, in their order', () => {
    const items = [...read(page).matchAll(EVIDENCE)].map(([, row]) => row);
    expect(items).toEqual(listRows(page));
  });

  it.each(citations)('%s has the test “%s”', (file, name) => {
    expect(titlesOf(file)).toContain(name);
  });
});

describe('README.md', () => {
  it('lists every route of the contract with its permission, and no other', () => {
    const rows = [...read('README.md').matchAll(/^\| `([A-Z]+ \/\S*)` +\| `([\w:-]+)`/gm)];
    const listed = rows.map(([, route = '', permission = '']) => `${route} ${permission}`);
    const routes = Contract.load().operations.map(
      ({ method, path, document }) => `${method} ${path} ${String(document['x-permission'])}`,
    );
    expect(listed.toSorted()).toEqual(routes.toSorted());
  });
});

describe('docs/runbook.md', () => {
  const runbook = read('docs/runbook.md');
  const alerts = read('deploy/monitoring/alerts.yml');
  const rules = [...alerts.matchAll(/- alert: (\w+).*?runbook_url: (\S+)#(\S+)$/gms)];
  const [index = ''] = /^## What to do when …$.*?(?=^### )/ms.exec(runbook) ?? [];

  it('is linked for each alert from the rule and from the index', () => {
    expect(rules).toHaveLength(alerts.match(/- alert: /g)?.length ?? 0);
    const indexed = [...index.matchAll(/^\| `(Passkey\w+)`/gm)].map(([, alert = '']) => alert);
    expect(indexed.toSorted()).toEqual(rules.map(([, alert = '']) => alert).toSorted());
    const wrong = rules.filter(
      ([, alert = '', page = '', anchor = '']) =>
        !anchorsOf(page).includes(anchor) || !new RegExp(`^\\| \`${alert}\` .*\\(#${anchor}\\)`, 'm').test(index),
    );
    expect(wrong.map(([, alert]) => alert)).toEqual([]);
  });

  it('links only to headings that it has', () => {
    const own = [...runbook.matchAll(/\]\(#([^)\s]+)\)/g)].map(([, anchor = '']) => anchor);
    const anchors = anchorsOf('docs/runbook.md');
    expect(own.filter((anchor) => !anchors.includes(anchor))).toEqual([]);
  });
});

describe('docs/glossary.md', () => {
  const terms = [...read('docs/glossary.md').matchAll(/^\| \*\*(.+?)\*\* /gm)].map(([, term = '']) => term);

  it('defines each term once, in alphabetical order', () => {
    const sorted = [...new Set(terms)].toSorted((a, b) => a.localeCompare(b, 'en'));
    expect(terms).toEqual(sorted);
  });

  it('forbids in italics only words that neither the source nor a document uses', () => {
    const rows = [...read('docs/glossary.md').matchAll(/^\| \*\*.+\| ([^|]*)\|$/gm)].map(([, cell = '']) => cell);
    const forbidden = rows.flatMap((cell) => [...cell.matchAll(/_([^_]+)_/g)].map(([, word = '']) => splitWords(word)));
    expect(forbidden.length).toBeGreaterThan(30);
    const used = new RegExp(`\\b(?:${forbidden.join('|')})s?\\b`, 'g');
    const found = globSync(TEXTS)
      .filter((file) => !UNCHECKED.test(file))
      .flatMap((file) => [...splitWords(read(file)).matchAll(used)].map(([word]) => `${file}: ${word}`));
    expect(found).toEqual([]);
  });
});

describe('test/support/README.md', () => {
  it('has a line for each file of the folder, and for no other', () => {
    const listed = [...read('test/support/README.md').matchAll(/^- `([^`]+)`: /gm)].map(([, file = '']) => file);
    const files = readdirSync('test/support', { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /\.(?:ts|mjs)$/.test(file) && !file.endsWith('.spec.ts'));
    expect(listed.toSorted()).toEqual(files.toSorted());
  });
});

/** Separates the words of `camelCase`, `snake_case` and `kebab-case`, in lower case. */
function splitWords(text: string): string {
  return text
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/[\s_*/#-]+/g, ' ')
    .toLowerCase();
}

function listPages(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`);
}

/** Lists the first cells of the rows that need evidence. */
function listRows(page: string): string[] {
  let isTable = false;
  return read(page)
    .split('\n')
    .filter((line) => {
      const isHeader = TABLE.test(line);
      isTable = isHeader || (isTable && line.startsWith('|'));
      return isTable && !isHeader && !line.startsWith('| --') && !EXEMPT.test(line);
    })
    .map((line) => line.split('|')[1]!.trim());
}

/** Reads the titles in a file of tests and the names in its tables, as the file writes them. */
function titlesOf(file: string): string[] {
  return [...read(file).matchAll(/(['"`])((?:(?!\1)[^\\\n]|\\.)+)\1(?=,)/gm)].map(([, , title = '']) =>
    title.replaceAll("\\'", "'"),
  );
}

/** Makes the anchors that GitHub makes of headings. */
function anchorsOf(page: string): string[] {
  return [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}
