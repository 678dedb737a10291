import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import addFormatsModule from 'ajv-formats';

/*
 * CycloneDX by the library of its own project, `@cyclonedx/cyclonedx-library`: it models and writes bills of materials, and has the
 * schemas. It has no model of cryptographic assets, so crypto-bom.ts writes those members itself, and the schema holds both.
 */

/** The version of the specification that the bills are of (ECMA-424). */
export const SPECIFICATION = '1.6';

/** The part of the library that is used. */
export interface CycloneDx {
  readonly Models: {
    readonly Bom: new () => Bom;
    readonly Component: new (type: string, name: string, options: object) => Component;
    readonly LicenseExpression: new (expression: string) => object;
    readonly Property: new (name: string, value: string) => object;
  };
  readonly Serialize: {
    readonly JSON: { readonly Normalize: { readonly Factory: new (specification: unknown) => object } };
    readonly JsonSerializer: new (factory: object) => { serialize(bom: Bom, options: object): string };
  };
  readonly Spec: { readonly SpecVersionDict: Readonly<Record<string, unknown>> };
}

export interface Bom {
  readonly metadata: { timestamp?: Date; component?: Component };
  readonly components: Set<Component>;
}

export interface Component {
  readonly bomRef: object;
  readonly hashes: Map<string, string>;
  readonly licenses: Set<object>;
  readonly properties: Set<object>;
  readonly dependencies: Set<object>;
}

/** The library is not installed. */
export class MissingLibraryError extends Error {
  override readonly name = 'MissingLibraryError';
  constructor() {
    super(`${LIBRARY} is not installed: run npm ci`);
  }
}

const LIBRARY: string = '@cyclonedx/cyclonedx-library';

/** @throws MissingLibraryError */
export async function loadCycloneDx(): Promise<CycloneDx> {
  try {
    return (await import(LIBRARY)) as CycloneDx;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new MissingLibraryError();
  }
}

const SUFFIX = '.SNAPSHOT.schema.json';
/** The schemas that the one of a bill refers to. */
const INCLUDED = ['spdx', 'jsf-0.82'];
/** Formats that ajv-formats does not know. They are those of links and mail addresses, which these bills do not have. */
const UNCHECKED = ['iri-reference', 'idn-email'];
let validator: ValidateFunction | undefined;

/**
 * Holds a bill against the schema that the library has.
 *
 * @returns the mistakes, or that the library is not there
 */
export function validateBom(bom: unknown): string[] {
  try {
    validator ??= compileSchema();
  } catch (error) {
    if (!(error instanceof MissingLibraryError)) throw error;
    return [`it is not validated, because ${error.message}`];
  }
  if (validator(bom)) return [];
  return (validator.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
}

function compileSchema(): ValidateFunction {
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormatsModule.default(ajv);
  for (const format of UNCHECKED) ajv.addFormat(format, true);
  for (const name of INCLUDED) ajv.addSchema(readSchema(name), `http://cyclonedx.org/schema/${name}${SUFFIX}`);
  return ajv.compile(readSchema(`bom-${SPECIFICATION}`));
}

function readSchema(name: string): object {
  try {
    const path = new URL(`res/schema/${name}${SUFFIX}`, import.meta.resolve(`${LIBRARY}/package.json`));
    return JSON.parse(readFileSync(fileURLToPath(path), 'utf8')) as object;
  } catch {
    throw new MissingLibraryError();
  }
}
