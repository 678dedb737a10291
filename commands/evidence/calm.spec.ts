import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import {
  CALM_SCHEMA,
  type CalmArchitecture,
  CalmSchemaError,
  findBrokenReferences,
  validateArchitecture,
} from './calm.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'calm-'));
const EMPTY = mkdtempSync(join(tmpdir(), 'calm-'));
afterAll(() => {
  for (const directory of [DIRECTORY, EMPTY]) rmSync(directory, { recursive: true });
});

/** Schemas of two files, which refer to each other as CALM's do. */
writeFileSync(
  join(DIRECTORY, 'calm.json'),
  JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: CALM_SCHEMA,
    $dynamicAnchor: 'meta',
    allOf: [
      { $ref: 'https://json-schema.org/draft/2020-12/schema' },
      { $ref: 'https://calm.finos.org/release/1.2/meta/core.json' },
    ],
  }),
);
writeFileSync(
  join(DIRECTORY, 'core.json'),
  JSON.stringify({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://calm.finos.org/release/1.2/meta/core.json',
    properties: { nodes: { type: 'array', items: { required: ['unique-id', 'name'] } } },
  }),
);

const ARCHITECTURE: CalmArchitecture = {
  $schema: CALM_SCHEMA,
  nodes: [
    { 'unique-id': 'a', 'node-type': 'service', name: 'A', description: 'One.' },
    { 'unique-id': 'b', 'node-type': 'service', name: 'B', description: 'Two.', interfaces: [{ 'unique-id': 'door' }] },
  ],
  relationships: [
    {
      'unique-id': 'a-to-b',
      description: 'Calls.',
      'relationship-type': { connects: { source: { node: 'a' }, destination: { node: 'b', interfaces: ['door'] } } },
      protocol: 'mTLS',
    },
  ],
  flows: [
    {
      'unique-id': 'flow',
      name: 'Flow',
      description: 'A call.',
      transitions: [{ 'relationship-unique-id': 'a-to-b', 'sequence-number': 1, description: 'Calls.' }],
    },
  ],
  metadata: {},
  adrs: [],
};
const [RELATIONSHIP] = ARCHITECTURE.relationships;
const lead = (destination: { node: string; interfaces?: string[] }): CalmArchitecture => ({
  ...ARCHITECTURE,
  relationships: [{ ...RELATIONSHIP!, 'relationship-type': { connects: { source: { node: 'a' }, destination } } }],
});

describe('the references of an architecture', () => {
  it('all lead somewhere', () => {
    expect(findBrokenReferences(ARCHITECTURE)).toEqual([]);
  });

  it.each([
    ['a node that is not there', lead({ node: 'c' }), ['a-to-b leads to a node or an interface that is not there']],
    [
      'an interface that is not there',
      lead({ node: 'b', interfaces: ['window'] }),
      ['a-to-b leads to a node or an interface that is not there'],
    ],
    [
      'a flow through a relationship that is not there',
      { ...ARCHITECTURE, relationships: [] },
      ['a flow goes through a-to-b, which is not there'],
    ],
    [
      'an id that is used twice',
      { ...ARCHITECTURE, nodes: [...ARCHITECTURE.nodes, ARCHITECTURE.nodes[0]!] },
      ['a is used twice'],
    ],
  ])('name %s', (_what, architecture, findings) => {
    expect(findBrokenReferences(architecture)).toEqual(findings);
  });
});

describe('the validation against meta-schemas', () => {
  it('follows their references, and says which schemas were used', () => {
    const { valid, mistakes, schemas } = validateArchitecture(ARCHITECTURE, DIRECTORY);
    expect({ valid, mistakes }).toEqual({ valid: true, mistakes: [] });
    expect(schemas).toEqual({
      'calm.json': expect.stringMatching(/^[0-9a-f]{64}$/),
      'core.json': expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('names what a schema demands', () => {
    const { name: _name, ...unnamed } = ARCHITECTURE.nodes[0]!;
    const architecture = { ...ARCHITECTURE, nodes: [unnamed] } as unknown as CalmArchitecture;
    expect(validateArchitecture(architecture, DIRECTORY)).toMatchObject({
      valid: false,
      mistakes: ["/nodes/0 must have required property 'name'"],
    });
  });

  it.each([
    ['has no schemas', EMPTY],
    ['is not there', join(EMPTY, 'nowhere')],
  ])('is refused for a directory that %s', (_what, directory) => {
    expect(() => validateArchitecture(ARCHITECTURE, directory)).toThrow(CalmSchemaError);
  });
});
