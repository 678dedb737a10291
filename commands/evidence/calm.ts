import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';

/*
 * The part of FINOS CALM 1.2 (Common Architecture Language Model) that the evidence uses, what its meta-schemas cannot say, and
 * the validation against the meta-schemas. Those are FINOS's own files, `calm/release/1.2/meta` of
 * github.com/finos/architecture-as-code; no package has them.
 */

export const CALM_SCHEMA = 'https://calm.finos.org/release/1.2/meta/calm.json';

export interface CalmControl {
  readonly description: string;
  readonly requirements: readonly {
    readonly 'requirement-url': string;
    readonly config: Readonly<Record<string, unknown>>;
  }[];
}

export type CalmControls = Readonly<Record<string, CalmControl>>;

export interface CalmNode {
  readonly 'unique-id': string;
  readonly 'node-type': 'actor' | 'service' | 'database' | 'webclient' | 'system';
  readonly name: string;
  readonly description: string;
  readonly interfaces?: readonly ({ readonly 'unique-id': string } & Readonly<Record<string, unknown>>)[];
  readonly controls?: CalmControls;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

interface Endpoint {
  readonly node: string;
  readonly interfaces?: readonly string[];
}

export interface CalmRelationship {
  readonly 'unique-id': string;
  readonly description: string;
  readonly 'relationship-type': {
    readonly connects: { readonly source: Endpoint; readonly destination: Endpoint };
  };
  readonly protocol: 'HTTPS' | 'mTLS' | 'TLS' | 'TCP';
  readonly controls?: CalmControls;
}

export interface CalmFlow {
  readonly 'unique-id': string;
  readonly name: string;
  readonly description: string;
  readonly transitions: readonly {
    readonly 'relationship-unique-id': string;
    readonly 'sequence-number': number;
    readonly description: string;
    readonly direction?: 'source-to-destination' | 'destination-to-source';
  }[];
}

export interface CalmArchitecture {
  readonly $schema: typeof CALM_SCHEMA;
  readonly nodes: readonly CalmNode[];
  readonly relationships: readonly CalmRelationship[];
  readonly flows: readonly CalmFlow[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly adrs: readonly string[];
}

/** Names every id that is used twice or leads nowhere. */
export function findBrokenReferences({ nodes, relationships, flows }: CalmArchitecture): string[] {
  const ids = [...nodes, ...relationships, ...flows].map((each) => each['unique-id']);
  const interfaces = new Map(nodes.map((node) => [node['unique-id'], node.interfaces ?? []]));
  const isThere = ({ node, interfaces: used = [] }: Endpoint): boolean =>
    used.every((id) => interfaces.get(node)?.some((each) => each['unique-id'] === id)) && interfaces.has(node);
  return [
    ...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `${id} is used twice`),
    ...relationships
      .filter(({ 'relationship-type': { connects } }) => !isThere(connects.source) || !isThere(connects.destination))
      .map((relationship) => `${relationship['unique-id']} leads to a node or an interface that is not there`),
    ...flows.flatMap(({ transitions }) =>
      transitions
        .map((transition) => transition['relationship-unique-id'])
        .filter((id) => !relationships.some((relationship) => relationship['unique-id'] === id))
        .map((id) => `a flow goes through ${id}, which is not there`),
    ),
  ];
}

export interface CalmValidation {
  readonly valid: boolean;
  readonly mistakes: readonly string[];
  /** The SHA-256 of each schema that was used. */
  readonly schemas: Readonly<Record<string, string>>;
}

/** A directory that has no usable meta-schemas. */
export class CalmSchemaError extends Error {
  override readonly name = 'CalmSchemaError';
}

/**
 * Validates an architecture against CALM's meta-schemas.
 *
 * @param directory with the schemas of a release
 * @throws CalmSchemaError
 */
export function validateArchitecture(architecture: CalmArchitecture, directory: string): CalmValidation {
  const schemas: Record<string, string> = {};
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  try {
    for (const file of readdirSync(directory)
      .filter((name) => name.endsWith('.json'))
      .sort()) {
      const text = readFileSync(join(directory, file), 'utf8');
      schemas[file] = createHash('sha256').update(text).digest('hex');
      ajv.addSchema(JSON.parse(text) as object);
    }
    const validate = ajv.getSchema(CALM_SCHEMA);
    if (!validate) throw new CalmSchemaError(`${directory} has no schema ${CALM_SCHEMA}`);
    const valid = validate(architecture) === true;
    const mistakes = (validate.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`);
    return { valid, mistakes, schemas };
  } catch (error) {
    if (error instanceof CalmSchemaError) throw error;
    throw new CalmSchemaError(`${directory} has no usable schemas of CALM: ${(error as Error).message}`);
  }
}
