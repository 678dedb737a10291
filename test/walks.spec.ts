import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const FOLDER = 'docs/walks';
const PAGES = readdirSync(FOLDER).filter((name) => name.endsWith('.md'));
/** A numbered step, up to the next one or to a line that is not indented. */
const STEP = /^\d+\. .*(?:\n {2,}.*)*/gm;
const SPAN = /`([^`\n]+)`/g;
const FILE = /^(?:src|commands|dev)\/[\w./-]+\.ts$/;
/** `name()`, `Class.name()`, `Class.getter` or `CONSTANT`. */
const NAME = /^(?:\w+\.)?\w+\(\)$|^[A-Z]\w+\.[a-z]\w*$|^[A-Z]+(?:_[A-Z]+)*$/;
const LENGTH = /It visits \*\*(\d+) files\*\* and returns \*\*(\d+) times\*\*/;

/** Lists the files of a page in the order of its steps, each with the names that follow it. */
interface Visit {
  readonly file: string;
  readonly names: string[];
}

function listVisits(page: string): Visit[] {
  const visits: Visit[] = [];
  for (const [step] of page.matchAll(STEP)) {
    for (const [, span = ''] of step.matchAll(SPAN)) {
      if (FILE.test(span) && span !== visits.at(-1)?.file) visits.push({ file: span, names: [] });
      else if (NAME.test(span)) visits.at(-1)?.names.push(span.replace('()', ''));
    }
  }
  return visits;
}

/** Lists the functions, constants and classes that a file declares, and its methods as `Class.method`. */
function listDeclared(file: string): Set<string> {
  const declared = new Set<string>();
  const visit = (node: ts.Node, owner: string): void => {
    if (ts.isImportDeclaration(node)) return;
    const name = (node as { name?: ts.Node }).name;
    if (name && (ts.isIdentifier(name) || ts.isPrivateIdentifier(name))) declared.add(owner + name.text);
    const inner = ts.isClassDeclaration(node) && node.name ? `${node.name.text}.` : '';
    ts.forEachChild(node, (child) => {
      visit(child, inner);
    });
  };
  visit(ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.Latest), '');
  return declared;
}

describe.each(PAGES)('docs/walks/%s', (name) => {
  const page = readFileSync(join(FOLDER, name), 'utf8');
  const visits = listVisits(page);

  it('names files that exist', () => {
    const files = visits.map(({ file }) => file);
    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  it('names functions where the source declares them', () => {
    const wrong = visits
      .filter(({ file }) => existsSync(file))
      .flatMap(({ file, names }) => {
        const declared = listDeclared(file);
        return names.filter((each) => !declared.has(each)).map((each) => `${file}: ${each}`);
      });
    expect(wrong).toEqual([]);
  });

  it('says how many files it visits, and how often it returns to one', () => {
    const files = new Set(visits.map(({ file }) => file)).size;
    const [, said, returns] = LENGTH.exec(page) ?? [];
    expect([Number(said), Number(returns)]).toEqual([files, visits.length - files]);
  });
});
