import { RequestMethod, type Type } from '@nestjs/common';
import { METHOD_METADATA, PATH_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { CallerController } from '../src/access/caller.controller.js';
import { ApprovalsController } from '../src/approvals/approvals.controller.js';
import { AuditController } from '../src/audit-log/audit.controller.js';
import { TransparencyLogController } from '../src/audit-log/transparency-log.controller.js';
import { ChallengesController } from '../src/challenges/challenges.controller.js';
import { createValidationPipe } from '../src/http/validation.js';
import { ConfirmationsController } from '../src/confirmations/confirmations.controller.js';
import { CredentialsController } from '../src/credentials/credentials.controller.js';
import { StatisticsController } from '../src/statistics/statistics.controller.js';
import { SuccessorsController } from '../src/successors/successors.controller.js';
import { UsersController } from '../src/credentials/users.controller.js';
import { BrowserKeysController } from '../src/payments/browser-keys.controller.js';
import { PaymentsController } from '../src/payments/payments.controller.js';
import { ExportController } from '../src/portability/export.controller.js';
import { CredentialLineDto } from '../src/portability/dto/credential-line.dto.js';
import { ImportController } from '../src/portability/import.controller.js';
import { ReceiptsController } from '../src/receipts/receipts.controller.js';
import { DiscoveryController } from '../src/signals/discovery.controller.js';
import { PollController } from '../src/signals/poll.controller.js';
import { StreamsController } from '../src/signals/streams.controller.js';
import { RelyingPartiesController } from '../src/relying-parties/relying-parties.controller.js';
import {
  compile,
  DOCUMENT,
  listMembers,
  makeProbes,
  makeSample,
  type Parameter,
  resolve,
  type Schema,
} from './support/schema-probes.js';

/*
 * openapi.yaml tells callers the bounds of requests, and the decorators of the request classes enforce them. Both must agree
 * about values at both sides of every bound, for each member of each request.
 */

const CONTROLLERS = [
  ChallengesController,
  CredentialsController,
  UsersController,
  RelyingPartiesController,
  ApprovalsController,
  BrowserKeysController,
  ExportController,
  ConfirmationsController,
  PaymentsController,
  ImportController,
  ReceiptsController,
  DiscoveryController,
  StreamsController,
  PollController,
  AuditController,
  TransparencyLogController,
  StatisticsController,
  SuccessorsController,
  CallerController,
];

/** The accepted differences: the member, the values as JSON, and the reason. */
const DIFFERENCES: [member: RegExp, values: RegExp, reason: string][] = [
  [
    /((authentication|confirmation|payment) body|query|param) userId$/,
    /^"\.\.?"$/,
    'no such user can register, and an unknown user is not an error',
  ],
  [/audit\/events query type$/, /^"/, 'the document leaves the types of events open'],
  [/audit\/events query actor$/, /^"/, 'a text that is not a SPIFFE ID finds nothing'],
  [/challenges\/registration body payment$/, /^true$/, 'the sample has mediation, which is refused beside it'],
  [/clientExtensionResults appidExclude$/, /./, 'the service drops this result of the browser unread'],
];

type Part = 'body' | 'line' | 'query' | 'param';

/** The parts of a request by their keys in Nest's metadata. The project's own decorators use other keys. */
const PARTS: ReadonlyMap<string, Part> = new Map([
  [String(RouteParamtypes.BODY), 'body'],
  [String(RouteParamtypes.QUERY), 'query'],
  [String(RouteParamtypes.PARAM), 'param'],
]);

/** Lists the parts of each documented request by `METHOD /path part`, parameters as the members of an object. */
function listDocumentedParts(): Map<string, Schema> {
  const parts = new Map<string, Schema>();
  for (const [path, { parameters: shared = [], ...operations }] of Object.entries(DOCUMENT.paths)) {
    for (const [method, { parameters = [], requestBody }] of Object.entries(operations)) {
      const route = `${method.toUpperCase()} ${path}`;
      const all = [...shared, ...parameters].map(resolve);
      const [inQuery, inPath] = ['query', 'path'].map((place) => all.filter((parameter) => parameter.in === place));
      if (inQuery!.length > 0) parts.set(`${route} query`, toObjectSchema(inQuery!));
      if (inPath!.length > 0) parts.set(`${route} param`, toObjectSchema(inPath!));
      const content = requestBody && resolve(requestBody).content;
      if (content?.['application/json']) parts.set(`${route} body`, content['application/json'].schema);
      const line = content?.['application/x-ndjson']?.schema.contentSchema;
      if (line) parts.set(`${route} line`, line);
    }
  }
  return parts;
}

function toObjectSchema(parameters: readonly Parameter[]): Schema {
  const properties = parameters.map(({ name, schema, example }): [string, Schema] => [
    name,
    example === undefined ? schema : { ...schema, examples: [example] },
  ]);
  const required = parameters.filter((parameter) => parameter.required).map(({ name }) => name);
  return { type: 'object', additionalProperties: false, required, properties: Object.fromEntries(properties) };
}

/** Lists the request classes of the controllers by `METHOD /path part`. */
function listRequestClasses(): Map<string, Type<object>> {
  const classes = new Map<string, Type<object>>();
  for (const controller of CONTROLLERS) {
    const handlers = controller.prototype as unknown as Record<string, object>;
    for (const name of Object.getOwnPropertyNames(handlers)) {
      const handler = handlers[name]!;
      const method = Reflect.getMetadata(METHOD_METADATA, handler) as RequestMethod | undefined;
      if (method === undefined) continue;
      const texts = [controller, handler].map((target) => Reflect.getMetadata(PATH_METADATA, target) as string);
      const steps = texts.flatMap((text) => text.split('/')).filter((step) => step !== '');
      const route = `${RequestMethod[method]} /${steps.map((step) => step.replace(/^:(.*)$/, '{$1}')).join('/')}`;
      const types = Reflect.getMetadata('design:paramtypes', handlers, name) as Type<object>[];
      const taken = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) ?? {}) as Record<
        string,
        { index: number }
      >;
      for (const [key, { index }] of Object.entries(taken)) {
        const part = PARTS.get(key.split(':', 1)[0]!);
        if (part) classes.set(`${route} ${part}`, types[index]!);
      }
    }
  }
  // A stream of lines has no parameter of Nest.
  classes.set('POST /v1/credentials/import line', CredentialLineDto);
  return classes;
}

/** Lists the values and numbers that the decorators of any class name: the document may lack one. */
function listDecoratedValues(): unknown[] {
  const { validationMetadatas } = getMetadataStorage() as unknown as {
    validationMetadatas: Map<unknown, readonly { constraints?: readonly unknown[] }[]>;
  };
  const values = [...validationMetadatas.values()].flat().flatMap(({ constraints = [] }) => constraints.flat());
  return [...new Set(values)].filter((value) => typeof value === 'string' || typeof value === 'number');
}

/** Writes a value as a parameter, or undefined for a value without a text. */
const toTexts = (value: unknown): (string | undefined)[] =>
  typeof value === 'object' ? [] : [typeof value === 'string' ? value : JSON.stringify(value)];

const writeParameters = (values: object): unknown =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, toTexts(value)[0]]));

/** Reads an integer or a boolean of the document from the text of a parameter. */
function readParameters(schema: Schema, values: object): unknown {
  const read = (name: string, text: string): unknown => {
    const { type } = resolve(schema.properties?.[name] ?? {});
    if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
    return type === 'boolean' && /^(true|false)$/.test(text) ? text === 'true' : text;
  };
  return Object.fromEntries(Object.entries(values).map(([name, text]) => [name, read(name, text as string)]));
}

/** Puts a value at a path; undefined leaves the member out. */
function replace(whole: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const members = whole as Record<string, unknown>;
  return { ...members, [name]: replace(members[name], rest, value) };
}

async function isAccepted(dto: Type<object>, part: Part, value: unknown): Promise<boolean> {
  return createValidationPipe()
    .transform(structuredClone(value), { type: part === 'line' ? 'body' : part, metatype: dto })
    .then(
      () => true,
      () => false,
    );
}

const documented = listDocumentedParts();
const classes = listRequestClasses();
const decorated = listDecoratedValues();

it('every part of a request that the document describes has a class, and no other part has', () => {
  expect([...classes.keys()].sort()).toEqual([...documented.keys()].sort());
});

describe.each([...documented])('%s', (name, schema) => {
  const part = name.split(' ').at(-1) as Part;
  const isJson = part === 'body' || part === 'line';
  const dto = classes.get(name)!;
  const isValid = compile(schema);
  const whole = isJson ? makeSample(schema) : writeParameters(makeSample(schema) as object);

  /** Lists the values at a path about which the document and the class differ. */
  async function findDifferences(path: readonly string[], values: readonly unknown[]): Promise<string[]> {
    const found: string[] = [];
    for (const value of values) {
      const request = JSON.parse(JSON.stringify(replace(whole, path, value))) as object;
      const isDocumented = isValid(isJson ? request : readParameters(schema, request));
      if ((await isAccepted(dto, part, request)) === isDocumented) continue;
      const json = value === undefined ? 'no value' : JSON.stringify(value);
      const at = `${name} ${path.join(' ')}`;
      if (DIFFERENCES.some(([member, known]) => member.test(at) && known.test(json))) continue;
      found.push(`${json.slice(0, 120)}: only the ${isDocumented ? 'document' : 'service'} accepts it`);
    }
    return found;
  }

  it('the document and the service accept a request with every member', async () => {
    expect(isValid(isJson ? whole : readParameters(schema, whole as object))).toBe(true);
    expect(await isAccepted(dto, part, whole)).toBe(true);
  });

  it.each(listMembers(schema).map(([path, member]) => [path.join('/'), path, member] as const))(
    'the document and the service give %s the same bounds',
    async (_, path, member) => {
      const values = [undefined, ...makeProbes(member), ...decorated, ...decorated.map((value) => [value])];
      expect(await findDifferences(path, isJson ? values : values.flatMap(toTexts))).toEqual([]);
    },
  );

  it('the document and the service agree about members that neither knows', async () => {
    const inner = listMembers(schema).filter(([, member]) => resolve(member).properties);
    for (const path of [[], ...inner.map(([at]) => at)]) {
      expect(await findDifferences([...path, 'nothing'], ['x'])).toEqual([]);
    }
  });
});
