import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormatsModule from 'ajv-formats';
import { parse } from 'yaml';
import type { Answer } from './client.js';

const addFormats = addFormatsModule.default;
const DOCUMENT = new URL('../../src/openapi/openapi.yaml', import.meta.url);
const METHODS = ['get', 'put', 'post', 'patch', 'delete'] as const;

interface Reference {
  $ref?: string;
}

interface Parameter extends Reference {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
}

interface MediaTypes {
  content?: Record<string, { schema?: unknown }>;
}

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly pattern: RegExp;
  readonly document: Record<string, unknown> & { responses: Record<string, Reference & MediaTypes> };
}

/** The published OpenAPI document, which every answer of the service is checked against. */
export class Contract {
  readonly operations: readonly Operation[];
  /** Compiles each schema once, and faster: a suite runs a validator a few times only. */
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true, inlineRefs: false, code: { optimize: false } });
  private readonly getPlan = new Map<unknown, ValidateFunction>();

  readonly document: { paths: Record<string, Record<string, Operation['document']>> };

  private constructor(document: { paths: Record<string, Record<string, Operation['document']>> }) {
    this.document = document;
    addFormats(this.ajv);
    this.ajv.addSchema(document, 'openapi', undefined, false);
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      METHODS.filter((method) => method in item).map((method) => ({
        method: method.toUpperCase(),
        path,
        pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{[^}]+\}/g, '[^/]+')}$`),
        document: item[method] as Operation['document'],
      })),
    );
  }

  static load(): Contract {
    return new Contract(parse(readFileSync(DOCUMENT, 'utf8')) as never);
  }

  /** @throws Error when the document does not describe this answer to this request */
  check(method: string, target: string, answer: Answer<unknown>): void {
    const operation = this.operationOf(method, target.split('?', 1)[0] ?? '');
    const type = answer.headers['content-type'] ?? '';
    if (answer.status === 500 || (answer.status >= 400 && !type.startsWith('application/problem+json'))) {
      throw new Error(`${method} ${target} → ${String(answer.status)} ${type}: ${JSON.stringify(answer.body)}`);
    }
    if (!operation) return;
    const name = `${operation.method} ${operation.path} → ${String(answer.status)}`;
    const response = this.responseOf(operation, answer.status);
    if (!response) throw new Error(`${name}: the contract has no such answer: ${JSON.stringify(answer.body)}`);
    const content = this.resolve(response).content ?? {};
    const mediaType = (answer.headers['content-type'] ?? '').split(';', 1)[0] ?? '';
    if (Object.keys(content).length === 0) {
      if (answer.body !== undefined) throw new Error(`${name}: the contract promises an empty answer`);
      return;
    }
    if (!(mediaType in content)) throw new Error(`${name}: the contract has no "${mediaType}" here`);
    const validate = this.validatorOf(operation, answer.status, response, mediaType);
    if (!validate(answer.body)) {
      const faults = this.ajv.errorsText(validate.errors, { dataVar: 'body' });
      throw new Error(`${name}: ${faults}\n${JSON.stringify(answer.body, null, 2)}`);
    }
  }

  /** Lists what the contract does not allow in a request of this operation. */
  faultsOfRequest({ path, method, document }: Operation, query: URLSearchParams, body: unknown): string[] {
    const listed = [this.document.paths[path], document].flatMap(
      (holder) => (holder?.['parameters'] ?? []) as Parameter[],
    );
    const known = listed
      .map((it) => this.resolve(it as unknown as Reference) as unknown as Parameter)
      .filter((it) => it.in === 'query');
    const unknown = [...query.keys()].filter((name) => !known.some((it) => it.name === name));
    const missing = known.filter((it) => it.required === true && !query.has(it.name)).map(({ name }) => name);
    const faults = [...unknown.map((name) => `unknown: ${name}`), ...missing.map((name) => `missing: ${name}`)];
    const { requestBody } = document as { requestBody?: Reference };
    if (!requestBody) return body === undefined ? faults : [...faults, 'a body'];
    // A body of lines is a text for the document.
    if (this.mediaTypeOfRequest(document) !== 'application/json') return faults;
    const place = requestBody.$ref ?? pointer('paths', path, method.toLowerCase(), 'requestBody');
    const validate = this.ajv.compile({ $ref: `openapi${place}/content/application~1json/schema` });
    return validate(body) ? faults : [...faults, this.ajv.errorsText(validate.errors, { dataVar: 'body' })];
  }

  /** @returns undefined: the request has no body */
  mediaTypeOfRequest(document: Record<string, unknown>): string | undefined {
    const { requestBody } = document as { requestBody?: Reference & MediaTypes };
    return requestBody && Object.keys(this.resolve(requestBody).content ?? {})[0];
  }

  /** Lists every `example` that the `schema` beside it refuses. */
  faultyExamples(): string[] {
    const faults: string[] = [];
    const visit = (node: unknown, path: string[]): void => {
      if (typeof node !== 'object' || node === null) return;
      if ('schema' in node && 'example' in node) {
        const validate = this.ajv.compile({ $ref: `openapi${pointer(...path, 'schema')}` });
        if (!validate(node.example)) faults.push(`${path.join(' ')}: ${this.ajv.errorsText(validate.errors)}`);
      }
      for (const [name, child] of Object.entries(node)) if (name !== 'example') visit(child, [...path, name]);
    };
    visit(this.document, []);
    return faults;
  }

  /** Prefers a path without parameters. */
  private operationOf(method: string, path: string): Operation | undefined {
    const found = this.operations.filter((operation) => operation.method === method && operation.pattern.test(path));
    return found.find((operation) => operation.path === path) ?? found[0];
  }

  private responseOf(operation: Operation, status: number): (Reference & MediaTypes) | undefined {
    const { responses } = operation.document;
    return responses[String(status)] ?? responses[`${String(status)[0] ?? ''}XX`] ?? responses['default'];
  }

  private validatorOf(operation: Operation, status: number, response: Reference & MediaTypes, mediaType: string) {
    let validate = this.getPlan.get(response);
    if (!validate) {
      const key =
        [String(status), `${String(status)[0] ?? ''}XX`, 'default'].find(
          (name) => name in operation.document.responses,
        ) ?? '';
      const base = response.$ref ?? pointer('paths', operation.path, operation.method.toLowerCase(), 'responses', key);
      validate = this.ajv.compile({ $ref: `openapi${base}${pointer('content', mediaType, 'schema').slice(1)}` });
      this.getPlan.set(response, validate);
    }
    return validate;
  }

  private resolve(node: Reference & MediaTypes): MediaTypes {
    if (node.$ref === undefined) return node;
    const names = node.$ref
      .slice(2)
      .split('/')
      .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
    return names.reduce<unknown>(
      (value, name) => (value as Record<string, unknown>)[name],
      this.document,
    ) as MediaTypes;
  }
}

const pointer = (...names: string[]): string =>
  `#/${names.map((name) => encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
