import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { parse } from 'yaml';

/*
 * Values that show where the bounds of a schema of openapi.yaml lie: a sample that it accepts, and probes at both sides of
 * each bound, far outside, and of other types.
 */

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly format?: string;
  readonly oneOf?: readonly Schema[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  /** Of each line of a stream. */
  readonly contentSchema?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Schema;
  readonly propertyNames?: Schema;
  readonly maxProperties?: number;
}

export interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: 'query' | 'path';
  readonly required?: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly $ref?: string; readonly content: Readonly<Record<string, { schema: Schema }>> };
}

export const DOCUMENT = parse(
  readFileSync(new URL('../../src/openapi/openapi.yaml', import.meta.url), 'utf8'),
) as unknown as {
  paths: Record<string, Record<string, Operation> & { parameters?: Parameter[] }>;
  components: object;
};

const ajv = new Ajv2020({ strict: false });
addFormatsModule.default(ajv);

export const compile = (schema: Schema): ValidateFunction =>
  ajv.compile({ ...schema, components: DOCUMENT.components });

/** Replaces a reference by the node that it names. The members beside the reference count, too. */
export function resolve<Node extends { readonly $ref?: string }>(node: Node): Node {
  const { $ref, ...beside } = node;
  if ($ref === undefined) return node;
  const names = $ref.slice('#/'.length).split('/');
  const found = names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], DOCUMENT);
  return { ...(found as Node), ...beside };
}

/** The schema of the members whose names the caller chooses; undefined: the object has none. */
function findFreeMembers({ additionalProperties }: Schema): Schema | undefined {
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

/** The sample of a name that the caller chooses. */
const FREE_NAME = 'a';

/** Lists each member of a schema by its path, with those of inner objects. */
export function listMembers(reference: Schema, at: readonly string[] = []): [path: readonly string[], Schema][] {
  const schema = resolve(reference);
  const free = findFreeMembers(schema);
  return Object.entries(schema.properties ?? (free ? { [FREE_NAME]: free } : {})).flatMap(([name, member]) => [
    [[...at, name], member] as [readonly string[], Schema],
    ...listMembers(member, [...at, name]),
  ]);
}

/** Makes a value that the schema accepts, with every optional member. */
export function makeSample(reference: Schema): unknown {
  const schema = resolve(reference);
  if (schema.oneOf) return makeSample(schema.oneOf[0]!);
  const free = findFreeMembers(schema);
  if (free) return { [FREE_NAME]: makeSample(free) };
  const [given] = [schema.const, schema.enum?.[0], schema.examples?.[0]].filter((value) => value !== undefined);
  if (given !== undefined) return given;
  const [type] = [schema.type].flat();
  if (type === 'object') {
    const members = Object.entries(schema.properties ?? {});
    return Object.fromEntries(members.map(([name, member]) => [name, makeSample(member)]));
  }
  if (type === 'array') return [makeSample(schema.items!)];
  if (type === 'integer') return schema.minimum ?? 0;
  if (type === 'boolean') return true;
  return TEXTS.find((text) => text !== '' && compile(schema)(text));
}

/** FAR exceeds the length of every text, MANY that of every list. */
const FAR = 70_000;
const MANY = 1_100;

/** Values at the bounds of patterns, and of the checks that the service makes in code. */
const TEXTS = [
  ...[
    '',
    'x',
    ' ',
    'X',
    '0',
    '7',
    '00',
    '01',
    '-1',
    '1.5',
    'true',
    'null',
    '.',
    '..',
    '...',
    'a b',
    'a+b',
    'a/b',
    'a=',
    'a_b-c',
  ],
  ...[
    '\u0000',
    'a\u001f',
    'a\u007f',
    'a\u0080',
    'a\u009f',
    'a\u00a0',
    'é',
    '\u2067أحمد',
    '1'.repeat(15),
    '1'.repeat(16),
  ],
  ...['a..b', '-a.b', 'a-.b', 'a.', '.a', 'LOGIN.example.com', 'localhost', '192.0.2.1'],
  ...[`${'a'.repeat(63)}.example`, `${'a'.repeat(64)}.example`, `${'a.'.repeat(126)}a`, `${'a.'.repeat(126)}aa`],
  ...[
    'https://a.example',
    'https://a.example/',
    'https://a.example:8443',
    'https://A.example',
    'http://a.example',
    'http://localhost:8080',
    'ftp://a.example',
    'https://a.example/a b',
    'https://a.example/\u00e9',
    'https://',
    'data:image/png;base64,AA==',
    'DATA:image/png;base64,AA==',
    'data:text/html,x',
  ],
  ...['a', 'aa'].map((last) => `https://${'a.'.repeat(251)}a${last}`),
  ...[27, 42, 43, 44, 64].map((length) => `android:apk-key-hash:${'A'.repeat(length)}`),
  ...[
    '2026-03-01T09:29:41Z',
    '2026-03-01T09:29:41.123456789+02:00',
    '2026-03-01T09:29:41.1234567890Z',
    '2026-03-01T24:00:00Z',
    '2026-02-30T09:29:41Z',
    '2026-03-01',
    'yesterday',
  ],
  ...[
    'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4',
    'ea9b8d66-4d01-1d21-3ce4-b6b48cb575d',
    'ea9b8d664d011d213ce4b6b48cb575d4',
  ],
];
const OTHERS = [null, true, false, 7, -7, 0, 1.5, 1e15, [], [null], ['x'], {}, { x: 1 }];

export function makeProbes(reference: Schema): unknown[] {
  const schema = resolve(reference);
  if (schema.oneOf) return schema.oneOf.flatMap(makeProbes);
  const { minLength, maxLength, minimum, maximum, items } = schema;
  const choice = [schema.const, ...(schema.enum ?? [])].filter((value) => typeof value === 'string');
  const lengths = [...listAround(minLength, maxLength).filter((length) => length >= 0), FAR];
  return [
    makeSample(reference),
    ...OTHERS,
    ...TEXTS,
    ...(schema.enum ?? []),
    ...choice.flatMap((value) => [value, value.toUpperCase(), `${value}x`]),
    ...lengths.flatMap((length) => ['x', '1', '😀'].map((text) => text.repeat(length))),
    ...listAround(minimum, maximum),
    ...(items ? makeLists(schema, items) : []),
    ...makeFreeMembers(schema),
  ];
}

/** Makes objects whose members have names and numbers at the bounds. */
function makeFreeMembers(schema: Schema): unknown[] {
  const free = findFreeMembers(schema);
  if (!free) return [];
  const { maxLength } = resolve(schema.propertyNames ?? {});
  const names = [...TEXTS, ...listAround(maxLength).map((length) => 'x'.repeat(length))];
  return [
    ...names.map((name) => ({ [name]: makeSample(free) })),
    ...[...OTHERS, 'x'].map((value) => ({ [FREE_NAME]: value })),
    ...listAround(schema.maxProperties).map((count) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`${FREE_NAME}${String(n)}`, makeSample(free)])),
    ),
  ];
}

function makeLists({ minItems, maxItems }: Schema, items: Schema): unknown[] {
  const [one, two] = makeElements(items, 2);
  const lengths = [...listAround(minItems, maxItems).filter((length) => length >= 0), MANY];
  return [
    ...lengths.map((length) => makeElements(items, length)),
    [one, one],
    [one, two, one],
    ...makeProbes(items).map((item) => [item]),
  ];
}

/** Makes distinct elements of a list. */
function makeElements(items: Schema, length: number): unknown[] {
  const { enum: choice, format } = resolve(items);
  if (choice) return choice.slice(0, length);
  const first = makeSample(items);
  return Array.from({ length }, (_, n) => {
    if (typeof first !== 'string') return first;
    return format === 'uuid' ? first.slice(0, -12) + String(n).padStart(12, '0') : first + String(n);
  });
}

function listAround(...bounds: (number | undefined)[]): number[] {
  return bounds.filter((bound) => bound !== undefined).flatMap((bound) => [bound - 1, bound, bound + 1]);
}
