import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { CEREMONY_STATEMENTS } from './support/ceremony-statements.js';
import { formatSql } from './support/format-sql.js';

const FOLDER = 'docs/sql';
const REWRITE = 'UPDATE_SQL=1 npm test -- test/sql-documents.spec.ts';

const documents = CEREMONY_STATEMENTS.map(({ statement, source, does }) => {
  const header = [statement.name, '', ...wrap(does), '', `Rendered from ${source} by`, `  ${REWRITE}`];
  const comment = header.map((line) => `-- ${line}`.trimEnd()).join('\n');
  return [statement.name, statement.text, `${comment}\n\n${formatSql(statement.text)}\n`] as const;
});

/** Wraps a text at 100 characters. */
function wrap(text: string): string[] {
  return text.match(/.{1,100}(?:\s|$)/g)!.map((line) => line.trim());
}

describe('docs/sql', () => {
  it.each(documents)(`shows %s as the service sends it (rewrite: ${REWRITE})`, (name, _, document) => {
    const path = `${FOLDER}/${name}.sql`;
    if (process.env['UPDATE_SQL'] === '1') {
      mkdirSync(FOLDER, { recursive: true });
      writeFileSync(path, document);
    }
    expect(readFileSync(path, 'utf8')).toBe(document);
  });

  it('holds the statements of the ceremonies and nothing else', () => {
    expect(readdirSync(FOLDER).toSorted()).toEqual(documents.map(([name]) => `${name}.sql`).toSorted());
  });

  it.each(documents)('formats %s without changing anything but white space', (_, text) => {
    const strip = (sql: string): string => sql.replaceAll(/\s+/g, '');
    expect(strip(formatSql(text))).toBe(strip(text));
  });
});
