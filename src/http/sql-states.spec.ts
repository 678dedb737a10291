import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { describeSqlState, isOfOneRow, isPassing, isSqlState, SQL_STATES } from './sql-states.js';

describe('a SQLSTATE', () => {
  it('has its sentence in the runbook', async () => {
    const runbook = await readFile('docs/runbook.md', 'utf8');
    const rows = Array.from(runbook.matchAll(/^\| `([0-9A-Z]{2}|[0-9A-Z]{5})` +\| (.*?) +\|$/gm), (row) =>
      row.slice(1),
    );
    expect(rows).toEqual(Object.entries(SQL_STATES).sort(([a], [b]) => (a < b ? -1 : 1)));
  });

  it.each([
    ['53100', 'its disk is full: make room'],
    ['53999', 'it lacks resources: look at its log'],
    ['BANK1', 'it refuses the statement: look at its log'],
  ])('%s means: %s', (state, meaning) => {
    expect(describeSqlState(state)).toBe(meaning);
  });

  it.each([
    ['40P01', true, true],
    ['55P03', true, true],
    ['53100', true, false],
    ['57P01', true, false],
    ['23514', false, true],
    ['P0001', false, true],
    ['42501', false, false],
    ['42P01', false, false],
    ['XX000', false, true],
  ])('%s passes by itself: %s; is of one row: %s', (state, passes, ofOneRow) => {
    expect([isPassing(state), isOfOneRow(state)]).toEqual([passes, ofOneRow]);
  });

  it.each(['EPERM', 'ECONNREFUSED', '5310', 8, undefined])('is not a code of anything else: %s', (code) => {
    expect(isSqlState(code)).toBe(false);
  });
});
