import { randomUUID } from 'node:crypto';

/** Draws a whole number from 0 to `below` − 1. */
export type Draw = (below: number) => number;

/** A value in PostgreSQL's own text form; null is NULL. */
export type Text = string | null;

const DAY_MS = 86_400_000;

const flipBit = (hex: string, draw: Draw): string => {
  const bytes = Buffer.from(hex.slice(2), 'hex');
  if (bytes.length === 0) return '\\x00';
  const at = draw(bytes.length);
  bytes[at]! ^= 1 << draw(8);
  return `\\x${bytes.toString('hex')}`;
};

const moveTime = (time: string, ms: number): string =>
  time.endsWith('infinity') ? '2026-01-01T00:00Z' : new Date(Date.parse(time) + ms).toISOString();

const countFrom = (value: string, draw: Draw): string[] => [
  String(BigInt(value) + 1n),
  String(BigInt(value) - 1n),
  '0',
  String(BigInt(value) + BigInt(2 + draw(1_000))),
];

function changeObject(json: string): string[] {
  const members = JSON.parse(json) as Record<string, unknown>;
  const [first] = Object.keys(members);
  return [{ ...members, another: true }, { ...members, [first ?? 'first']: undefined }, [], null].map((value) =>
    JSON.stringify(value),
  );
}

const changeText = (value: string, draw: Draw): string[] => [`${value}x`, `another-${String(draw(1_000_000))}`, ''];

/** Other values of a type, made from one that is not NULL. */
const OTHERS: Readonly<Record<string, (value: string, draw: Draw) => string[]>> = {
  text: changeText,
  'character varying': changeText,
  bytea: (value, draw) => [flipBit(value, draw), value.slice(0, -2), `${value}00`, '\\x'].filter((hex) => hex !== '\\'),
  uuid: (value, draw) => [
    randomUUID(),
    value.slice(0, -1) + ((Number.parseInt(value.at(-1)!, 16) + 1 + draw(15)) % 16).toString(16),
  ],
  smallint: countFrom,
  integer: countFrom,
  bigint: countFrom,
  numeric: countFrom,
  boolean: (value) => [value === 'true' ? 'false' : 'true'],
  'timestamp with time zone': (value) => [
    moveTime(value, 1),
    moveTime(value, DAY_MS),
    moveTime(value, -DAY_MS),
    'infinity',
  ],
  'text[]': (value) => [value === '{}' ? '{a}' : value.replace(/\}$/, ',another}'), '{}', '{another}'],
  jsonb: changeObject,
};

/** What stands in a column whose row has NULL. */
const FIRST: Readonly<Record<string, string>> = {
  text: 'some',
  'character varying': 'some',
  bytea: `\\x${'00'.repeat(32)}`,
  uuid: '00000000-0000-7000-8000-000000000000',
  smallint: '7',
  integer: '7',
  bigint: '7',
  numeric: '7',
  boolean: 'true',
  'timestamp with time zone': '2026-01-01T00:00Z',
  'text[]': '{}',
  jsonb: '{}',
};

/**
 * Lists values of a type that a column could be given instead of its own, NULL among them.
 *
 * @throws Error for a type that this file does not know
 */
export function listOtherValues(type: string, value: Text, draw: Draw): Text[] {
  const others = OTHERS[type];
  if (!others) throw new Error(`the property test knows no values of the type ${type}`);
  const made = value === null ? [FIRST[type]!, ...others(FIRST[type]!, draw)] : [...others(value, draw), null];
  return [...new Set(made)].filter((other) => other !== value);
}

/** Makes values that no row has, from all that are held: one beside the value and, of numbers, one above all. */
export function makeNewValues(type: string, value: string, held: readonly Text[], draw: Draw): string[] {
  const free = (wanted: string[]): string[] => wanted.filter((each) => !held.includes(each));
  if (type === 'uuid') return [value.slice(0, -6) + randomUUID().slice(-6)];
  if (OTHERS[type] !== countFrom) return free(OTHERS[type]!(value, draw)).slice(0, 1);
  const most = held.reduce((max, each) => (BigInt(each!) > max ? BigInt(each!) : max), 0n);
  return [...new Set([...free([String(BigInt(value) + 1n)]), String(most + 1n)])];
}
