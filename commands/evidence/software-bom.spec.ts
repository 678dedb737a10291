import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Part, Sources } from './part.js';
import { describeSoftware } from './software-bom.js';

const ROOT = mkdtempSync(join(tmpdir(), 'software-bom-'));
afterAll(() => {
  rmSync(ROOT, { recursive: true });
});

const SOURCES = { inventory: { software: { node: '26.0.0' } }, now: new Date(0) } as unknown as Sources;
const INTEGRITY = `sha512-${Buffer.alloc(64, 1).toString('base64')}`;

function write(path: string, content: object): void {
  mkdirSync(dirname(join(ROOT, path)), { recursive: true });
  writeFileSync(join(ROOT, path), JSON.stringify(content));
}

interface Bom {
  readonly components: readonly {
    readonly 'bom-ref': string;
    readonly purl?: string;
    readonly [member: string]: unknown;
  }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

const describeRoot = async (): Promise<Part & { content: Bom }> =>
  (await describeSoftware(SOURCES, ROOT)) as Part & { content: Bom };

/** An installation with two versions of one package, a package under another name, and one for development. */
beforeEach(() => {
  write('package.json', { name: 'service', version: '1.0.0', license: 'MIT', dependencies: { one: '1', two: '1' } });
  const packages = {
    'node_modules/one': {
      version: '1.0.0',
      license: 'MIT',
      integrity: INTEGRITY,
      dependencies: { '@scope/deep': '2' },
    },
    'node_modules/two': {
      version: '1.0.0',
      license: 'MIT',
      integrity: INTEGRITY,
      dependencies: { '@scope/deep': '1' },
    },
    'node_modules/@scope/deep': { version: '1.0.0', license: 'ISC', integrity: INTEGRITY },
    'node_modules/one/node_modules/@scope/deep': { version: '2.0.0', license: 'ISC', integrity: INTEGRITY },
    'node_modules/alias': { name: 'real', version: '3.0.0', dev: true, license: 'MIT', integrity: INTEGRITY },
  };
  write('node_modules/.package-lock.json', { packages });
  for (const [path, { version, ...entry }] of Object.entries(packages)) {
    const name = 'name' in entry ? entry.name : path.slice(path.lastIndexOf('node_modules/') + 13);
    write(`${path}/package.json`, { name, version });
  }
});

describe('the bill of software', () => {
  it('has each installed package with its name, digest, licence and scope', async () => {
    const { content, faults } = await describeRoot();
    expect(faults).toEqual([]);
    expect(content.components.map(({ purl, scope }) => [purl, scope])).toEqual(
      expect.arrayContaining([
        ['pkg:npm/one@1.0.0', 'required'],
        ['pkg:npm/%40scope/deep@2.0.0', 'required'],
        ['pkg:npm/real@3.0.0', 'excluded'],
      ]),
    );
    expect(content.components.find(({ purl }) => purl === 'pkg:npm/one@1.0.0')).toMatchObject({
      hashes: [{ alg: 'SHA-512', content: '01'.repeat(64) }],
      licenses: [{ expression: 'MIT' }],
    });
  });

  it('tells which of two versions a package uses', async () => {
    const { dependencies } = (await describeRoot()).content;
    const find = (ref: string): readonly string[] | undefined =>
      dependencies.find((each) => each.ref === ref)?.dependsOn;
    expect(find('node_modules/one')).toEqual(['node_modules/one/node_modules/@scope/deep']);
    expect(find('node_modules/two')).toEqual(['node_modules/@scope/deep']);
    expect(find('service')).toEqual(['node_modules/one', 'node_modules/two']);
  });

  it.each<readonly [what: string, change: () => void]>([
    [
      'of another version than npm recorded',
      () => {
        write('node_modules/two/package.json', { name: 'two', version: '1.0.1' });
      },
    ],
    [
      'of another name than npm recorded',
      () => {
        write('node_modules/two/package.json', { name: 'tow', version: '1.0.0' });
      },
    ],
    [
      'that is not there any more',
      () => {
        rmSync(join(ROOT, 'node_modules/two/package.json'));
      },
    ],
  ])('is at fault for a package %s', async (_what, change) => {
    change();
    expect((await describeRoot()).faults).toEqual(['node_modules/two is not what npm installed there.']);
  });

  it('is at fault where npm recorded nothing', async () => {
    rmSync(join(ROOT, 'node_modules/.package-lock.json'));
    expect((await describeRoot()).faults).toEqual([expect.stringMatching(/\.package-lock\.json is missing/)]);
  });

  it('has the true name of each package of this project', async () => {
    const { content } = (await describeSoftware(SOURCES, '.')) as Part & { content: Bom };
    const packages = content.components.filter(({ purl }) => purl !== undefined);
    expect(packages.length).toBeGreaterThan(100);
    for (const { 'bom-ref': path, purl } of packages) {
      const { name, version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Record<string, string>;
      expect(decodeURIComponent(purl!)).toBe(`pkg:npm/${name!}@${version!}`);
    }
  });
});
