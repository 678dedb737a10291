import { makeRow, type Row, simplifyName } from './row.js';

/** A value that cannot be read. The message names the column. */
export class CellFault extends Error {
  override readonly name = 'CellFault';

  constructor(column: string, reason: string) {
    super(`${column} ${reason}`);
  }
}

const MAX_COUNT = 2 ** 32 - 1;
const UUID = /^\{?([\da-f]{8})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{4})-?([\da-f]{12})\}?$/i;
/** `2026-11-30 20:26:03.123456+00`, as databases write it, or RFC 3339. */
const TIME = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))? ?(Z|UTC|[+-]\d\d(?::?\d\d)?)?$/i;
const FLAGS: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  1: true,
  '\x01': true,
  false: false,
  f: false,
  0: false,
  '\x00': false,
};

/**
 * The columns of a row. Each method takes the names that a column may have, in the order of preference, and returns undefined for
 * a column that is absent, empty or NULL. They throw a CellFault that names the column.
 */
export class Cells {
  readonly #cells: Row['cells'];

  constructor({ cells }: Pick<Row, 'cells'>) {
    this.#cells = cells;
  }

  has(...names: string[]): boolean {
    return this.#find(names) !== undefined;
  }

  text(...names: string[]): string | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    if (typeof value === 'number' || typeof value === 'bigint') return String(value);
    if (typeof value !== 'string') throw new CellFault(name, 'is not a text');
    if (value.includes('\0')) throw new CellFault(name, 'has a NUL character');
    return value;
  }

  /** An integer from 0 to 2^32 − 1. */
  count(...names: string[]): number | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const count = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : value;
    if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > MAX_COUNT)
      throw new CellFault(name, `is not an integer from 0 to ${String(MAX_COUNT)}`);
    return count;
  }

  /** A COSE algorithm identifier. */
  algorithm(...names: string[]): number | undefined {
    const text = this.text(...names);
    if (text !== undefined && !/^-\d{1,6}$/.test(text)) throw new CellFault(names[0]!, 'is not a COSE algorithm');
    return text === undefined ? undefined : Number(text);
  }

  flag(...names: string[]): boolean | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    if (typeof value === 'boolean') return value;
    const flag =
      typeof value === 'string' || typeof value === 'number' ? FLAGS[String(value).toLowerCase()] : undefined;
    if (flag === undefined) throw new CellFault(name, 'is neither true nor false');
    return flag;
  }

  /**
   * A time in seconds or milliseconds since 1970, or as text. Without a zone it is UTC.
   *
   * @returns RFC 3339 in UTC with milliseconds
   */
  time(...names: string[]): string | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const time = parseTime(value);
    if (!time || Number.isNaN(time.getTime()) || time.getTime() < 0 || time.getUTCFullYear() > 9999)
      throw new CellFault(name, 'is not a time');
    return time.toISOString();
  }

  /** A list of words: an array, as JSON or as PostgreSQL writes it, or words with commas between them. */
  words(...names: string[]): string[] | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const words = Array.isArray(value) ? (value as unknown[]) : parseWords(value);
    if (!words?.every((word): word is string => typeof word === 'string' && /^[a-z\d-]*$/i.test(word)))
      throw new CellFault(name, 'is not a list of words');
    const named = words.filter((word) => word !== '');
    return named.length === 0 ? undefined : [...new Set(named)];
  }

  /** An AAGUID: a UUID, or its 16 bytes. */
  uuid(...names: string[]): string | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const text = typeof value === 'string' && UUID.test(value) ? value : decodeBytes(value)?.toString('hex');
    const parts = text === undefined ? null : UUID.exec(text);
    if (!parts) throw new CellFault(name, 'is not a UUID');
    return parts.slice(1).join('-').toLowerCase();
  }

  /** Bytes in hex (`\x…`, `0x…` or bare), base64 or base64url, or as JSON writes a Buffer or a Uint8Array. */
  bytes(...names: string[]): Buffer | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const bytes = decodeBytes(value);
    if (!bytes || bytes.length === 0) throw new CellFault(name, 'is neither hex nor base64 nor base64url');
    return bytes;
  }

  /** A JSON object, or its text. */
  object(...names: string[]): Cells | undefined {
    const found = this.#find(names);
    if (!found) return undefined;
    const { name, value } = found;
    const object = typeof value === 'string' ? parseJson(value) : value;
    if (!isObject(object)) throw new CellFault(name, 'is not a JSON object');
    return new Cells(makeRow(0, Object.entries(object)));
  }

  /** The value itself, such as a JSON Web Key. */
  value(...names: string[]): { name: string; value: unknown } | undefined {
    return this.#find(names);
  }

  /** These columns, with another value in one of them. */
  with(name: string, value: unknown): Cells {
    return new Cells({ cells: new Map([...this.#cells, [simplifyName(name), { name, values: [value] }]]) });
  }

  /** @throws CellFault if nothing is there */
  demand<Value>(value: Value | undefined, ...names: string[]): Value {
    const present = names.map((name) => this.#cells.get(simplifyName(name))).find((cell) => cell !== undefined);
    if (value === undefined) throw new CellFault(present?.name ?? names[0]!, present ? 'is empty' : 'is missing');
    return value;
  }

  #find(names: readonly string[]): { name: string; value: unknown } | undefined {
    for (const simplified of names.map(simplifyName)) {
      const cell = this.#cells.get(simplified);
      if (!cell) continue;
      const { name, values } = cell;
      if (values.length > 1) throw new CellFault(name, 'is there more than once');
      const value = unwrapExtended(values[0]);
      return value === undefined || value === null || value === '' ? undefined : { name, value };
    }
    return undefined;
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Unwraps MongoDB's Extended JSON, as `mongoexport` writes it. */
function unwrapExtended(value: unknown): unknown {
  if (!isObject(value)) return value;
  for (const [key, held] of Object.entries(value)) {
    if (['$oid', '$numberInt', '$numberDouble'].includes(key)) return held;
    if (key === '$numberLong') return Number(held);
    if (key === '$date') return unwrapExtended(held);
    if (key === '$binary') return isObject(held) ? held['base64'] : held;
  }
  return value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The largest number that is taken as seconds: the year 5138. Milliseconds of that size are in 1973. */
const MAX_SECONDS = 1e11;

function parseTime(value: unknown): Date | undefined {
  const number = typeof value === 'string' && /^\d{1,16}(\.\d+)?$/.test(value) ? Number(value) : value;
  if (typeof number === 'number') return new Date(number < MAX_SECONDS ? number * 1_000 : number);
  const parts = typeof value === 'string' ? TIME.exec(value) : null;
  if (!parts) return undefined;
  const [, day, clock = '00:00:00', zone = 'Z'] = parts;
  const seconds = clock.length === 5 ? `${clock}:00` : clock;
  const offset = /^(Z|UTC)$/i.test(zone) ? 'Z' : `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`;
  return new Date(`${day!}T${seconds.replace(/(\.\d{3})\d+$/, '$1')}${offset}`);
}

function parseWords(value: unknown): unknown[] | undefined {
  if (typeof value !== 'string') return undefined;
  const json = value.startsWith('[') ? parseJson(value) : undefined;
  if (Array.isArray(json)) return json as unknown[];
  const [, list = value] = /^\{(.*)\}$/.exec(value) ?? [];
  return list.split(',').map((word) => word.trim().replace(/^"(.*)"$/, '$1'));
}

/** Bare hex must be this long: a base64url text of 32 characters that are all hexadecimal digits does not happen by chance. */
const MIN_HEX = 32;

function decodeBytes(value: unknown): Buffer | undefined {
  if (Array.isArray(value)) return decodeOctets(value);
  if (isObject(value))
    return decodeOctets(
      value['type'] === 'Buffer' && Array.isArray(value['data']) ? value['data'] : Object.values(value),
    );
  if (typeof value !== 'string') return undefined;
  const [, hex] = /^(?:\\x|0x|x')((?:[\da-f]{2})*)'?$/i.exec(value) ?? [];
  if (hex !== undefined) return Buffer.from(hex, 'hex');
  if (value.length >= MIN_HEX && value.length % 2 === 0 && /^(?:[\da-f]+|[\dA-F]+)$/.test(value))
    return Buffer.from(value, 'hex');
  const packed = value.replace(/[\r\n]/g, '').replace(/={1,2}$/, '');
  if (!/^(?:[A-Za-z\d_-]+|[A-Za-z\d+/]+)$/.test(packed)) return undefined;
  const bytes = Buffer.from(packed, 'base64url');
  return bytes.toString('base64url') === packed.replaceAll('+', '-').replaceAll('/', '_') ? bytes : undefined;
}

function decodeOctets(values: readonly unknown[]): Buffer | undefined {
  const isOctet = (value: unknown): value is number =>
    typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255;
  return values.every(isOctet) ? Buffer.from(values) : undefined;
}
