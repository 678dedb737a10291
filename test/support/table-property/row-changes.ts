import type { Table } from './catalog.js';
import { type Draw, listOtherValues, makeNewValues, type Text } from './values.js';

/** `*` as the column: the change is one of whole rows. */
export type Operation = 'change' | 'swap' | 'put back' | 'duplicate' | 'delete';

export interface Statement {
  readonly sql: string;
  readonly values: readonly Text[];
}

export interface RowChange {
  readonly column: string;
  readonly operation: Operation;
  /** The statements of one transaction, and of others that have the same effect if a constraint refuses that one. */
  readonly ways: readonly (readonly Statement[])[];
}

/** A row in PostgreSQL's text form, by column. */
export type Row = Readonly<Record<string, Text>>;

export interface TableRows {
  readonly table: Table;
  /** The rows by their state, such as active and suspended. */
  readonly states: ReadonlyMap<string, readonly Row[]>;
  /** The rows as they were at an earlier time, by the key. */
  readonly earlier: ReadonlyMap<string, Row>;
}

export const keyOf = ({ key }: Table, row: Row): string => JSON.stringify(key.map((column) => row[column]));

/** A change of a row of a state. */
export type ChangeOfState = RowChange & { readonly state: string };

/**
 * Lists the changes of one column or, for `*`, of whole rows, for each state of rows. Each is of a row that is drawn from
 * those of the state. It is exchanged with one of the same state and with one of the next state, if there is one that
 * differs.
 */
export function* listChanges(rows: TableRows, column: string, draw: Draw): Generator<ChangeOfState> {
  const states = [...rows.states];
  for (const [index, [state, own]] of states.entries()) {
    const [, next] = states[(index + 1) % states.length]!;
    const most = index === 0 ? Infinity : MOST_VALUES;
    for (const change of changeOneOf(rows, column, { own, next, most }, draw)) yield { ...change, state };
  }
  if (column === '*') for (const change of putBackDeleted(rows)) yield { ...change, state: DELETED };
}

function* changeOneOf(
  rows: TableRows,
  column: string,
  { own, next, most }: { own: readonly Row[]; next: readonly Row[]; most: number },
  draw: Draw,
): Generator<RowChange> {
  const { table, earlier } = rows;
  const pick = (from: readonly Row[]): Row[] => (from.length > 0 ? [from[draw(from.length)]!] : []);
  const [row] = pick(own) as [Row];
  yield* column === '*' ? changeRow(rows, row, draw) : changeColumn(rows, column, row, most, draw);

  const rest = table.columns.map(({ name }) => name).filter((name) => !table.key.includes(name));
  const columns = column === '*' ? rest : [column];
  const differ = (a: Row, b: Row): boolean => columns.some((name) => a[name] !== b[name]);
  for (const partners of [own, next]) {
    for (const other of pick(partners.filter((each) => differ(each, row)))) {
      yield { column, operation: 'swap', ways: swap(table, row, other, columns) };
    }
  }
  const before = (each: Row): Row => earlier.get(keyOf(table, each)) ?? each;
  for (const each of pick(own.filter((held) => differ(before(held), held)))) {
    const changed = columns.filter((name) => before(each)[name] !== each[name]);
    const values = Object.fromEntries(changed.map((name) => [name, before(each)[name]!]));
    yield { column, operation: 'put back', ways: [[update(table, each, values)]] };
  }
}

/** The state of rows that are only in the earlier copy. */
const DELETED = 'deleted';

const valuesOf = ({ states }: TableRows, column: string): Text[] =>
  [...states.values()].flat().map((row) => row[column]!);

function* changeColumn(rows: TableRows, column: string, row: Row, most: number, draw: Draw): Generator<RowChange> {
  const { table } = rows;
  const { type } = table.columns.find(({ name }) => name === column)!;
  const held = valuesOf(rows, column).filter((value) => value !== row[column]);
  const values = new Set([...listOtherValues(type, row[column]!, draw), ...held.slice(0, MOST_HELD)]);
  for (const value of [...values].slice(0, most)) {
    yield { column, operation: 'change', ways: [[update(table, row, { [column]: value })]] };
  }
}

/** Every value is tried in a row of the first state. In the other states, a few say if the state matters. */
const MOST_VALUES = 2;
/** More values of other rows tell nothing new. */
const MOST_HELD = 3;

function* changeRow(rows: TableRows, row: Row, draw: Draw): Generator<RowChange> {
  const { table } = rows;
  yield { column: '*', operation: 'delete', ways: [[remove(table, row)]] };
  for (const copy of [row, ...copyWithNewKeys(rows, row, draw)]) {
    yield { column: '*', operation: 'duplicate', ways: [[insert(table, copy)]] };
  }
}

/** Makes copies of a row that no unique index refuses. */
function copyWithNewKeys(rows: TableRows, row: Row, draw: Draw): Row[] {
  const copies: Record<string, Text>[] = [];
  for (const name of new Set(rows.table.unique.map((index) => index.at(-1)!))) {
    const { type } = rows.table.columns.find((column) => column.name === name)!;
    for (const [index, value] of makeNewValues(type, row[name]!, valuesOf(rows, name), draw).entries()) {
      copies[index] = { ...(copies[index] ?? copies[0] ?? row), [name]: value };
    }
  }
  return copies;
}

function* putBackDeleted(rows: TableRows): Generator<RowChange> {
  const { table, earlier, states } = rows;
  const present = new Set([...states.values()].flat().map((row) => keyOf(table, row)));
  for (const [key, row] of earlier) {
    if (!present.has(key)) yield { column: '*', operation: 'put back', ways: [[insert(table, row)]] };
  }
}

/** Exchanges columns of two rows. A unique index refuses the state between two updates, so the rows are also made anew. */
function swap(table: Table, row: Row, other: Row, columns: readonly string[]): Statement[][] {
  const pick = (from: Row): Row => Object.fromEntries(columns.map((name) => [name, from[name]!]));
  return [
    [update(table, row, pick(other)), update(table, other, pick(row))],
    [
      remove(table, row),
      remove(table, other),
      insert(table, { ...row, ...pick(other) }),
      insert(table, { ...other, ...pick(row) }),
    ],
  ];
}

function update(table: Table, row: Row, changed: Row): Statement {
  const names = Object.keys(changed);
  const set = names.map((name, index) => `"${name}" = $${String(index + 1)}`).join(', ');
  return where(table, row, `UPDATE ${table.name} SET ${set}`, Object.values(changed));
}

function remove(table: Table, row: Row): Statement {
  return where(table, row, `DELETE FROM ${table.name}`, []);
}

/** A column that is NULL is not named: a role may lack the privilege to set it. */
function insert({ name, columns }: Table, row: Row): Statement {
  const set = columns.map((column) => column.name).filter((column) => row[column] !== null);
  const places = set.map((_, index) => `$${String(index + 1)}`).join(', ');
  const names = set.map((column) => `"${column}"`).join(', ');
  return { sql: `INSERT INTO ${name} (${names}) VALUES (${places})`, values: set.map((column) => row[column]!) };
}

function where({ key }: Table, row: Row, sql: string, values: readonly Text[]): Statement {
  const conditions = key
    .map((name, index) => `"${name}" IS NOT DISTINCT FROM $${String(values.length + index + 1)}`)
    .join(' AND ');
  return { sql: `${sql} WHERE ${conditions}`, values: [...values, ...key.map((name) => row[name]!)] };
}
