import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import {
  type Component,
  type CycloneDx,
  loadCycloneDx,
  MissingLibraryError,
  SPECIFICATION,
  validateBom,
} from './cyclonedx.js';
import { formatTable, type Part, type Sources } from './part.js';

/** npm's own record of what it installed. */
const RECORD = 'node_modules/.package-lock.json';

interface Installed {
  /** Only if its path does not end with it. */
  readonly name?: string;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly devOptional?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

type Packages = Readonly<Record<string, Installed>>;

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Lists the installed packages as a CycloneDX bill of materials (PCI DSS 4.0.1 6.3.2).
 *
 * @param root the directory of the project
 */
export async function describeSoftware({ inventory, now }: Sources, root: string): Promise<Part> {
  const manifest = readJson(join(root, 'package.json')) as Manifest;
  const { packages } = existsSync(join(root, RECORD))
    ? (readJson(join(root, RECORD)) as { packages: Packages })
    : { packages: {} };
  const installed = Object.entries(packages).filter(([, { link }]) => !link);
  const content = await makeContent(manifest, installed, inventory.software, now);
  const served = installed.filter(([, { dev, devOptional }]) => !dev && !devOptional);
  const licenses = countBy(served.map(([, { license }]) => license ?? 'not stated'));
  const differing = findDiffering(root, installed);
  return {
    file: 'sbom.cdx.json',
    title: `Software bill of materials, CycloneDX ${SPECIFICATION} (6.3.2)`,
    ...(content === undefined
      ? { content: null, missing: `${new MissingLibraryError().message}, with the packages of development` }
      : { content }),
    summary: [
      `${String(served.length)} packages are there to serve, ${String(installed.length - served.length)} more for development (scope \`excluded\`). Each has the digest by which npm held it when it was installed.`,
      '',
      ...formatTable(
        ['licence', 'packages that serve'],
        licenses.map(([license, count]) => [license, String(count)]),
      ),
    ],
    open: [
      ...(installed.length > served.length
        ? ['This is an installation with the packages of development: make the evidence where the service runs, too.']
        : []),
      ...served
        .filter(([, { license, integrity }]) => license === undefined || integrity === undefined)
        .map(([path]) => `${path} states no licence, or npm has no digest of it.`),
    ],
    faults: [
      ...(installed.length === 0 ? [`${RECORD} is missing, so nobody says what is installed: run npm ci.`] : []),
      ...differing.map((path) => `${path} is not what npm installed there.`),
      ...(content === undefined ? [] : validateBom(content).map((mistake) => `The bill of materials: ${mistake}.`)),
    ],
  };
}

/** @returns undefined if the library is not installed */
async function makeContent(
  manifest: Manifest,
  installed: readonly (readonly [string, Installed])[],
  software: Readonly<Record<string, string>>,
  now: Date,
): Promise<unknown> {
  try {
    return JSON.parse(writeBom(await loadCycloneDx(), manifest, installed, software, now));
  } catch (error) {
    if (error instanceof MissingLibraryError) return undefined;
    throw error;
  }
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** Finds packages whose own manifest has another name or version than the record of npm. */
function findDiffering(root: string, installed: readonly (readonly [string, Installed])[]): string[] {
  return installed
    .filter(([path, entry]) => {
      const manifest = join(root, path, 'package.json');
      if (!existsSync(manifest)) return true;
      const { name, version } = readJson(manifest) as Manifest;
      return name !== readName(path, entry) || version !== entry.version;
    })
    .map(([path]) => path);
}

/** The name of a package. Its path ends with it, unless it has another one there. */
function readName(path: string, { name }: Installed): string {
  return name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
}

function writeBom(
  { Models, Serialize, Spec }: CycloneDx,
  manifest: Manifest,
  installed: readonly (readonly [string, Installed])[],
  software: Readonly<Record<string, string>>,
  now: Date,
): string {
  const bom = new Models.Bom();
  bom.metadata.timestamp = now;
  const product = new Models.Component('application', manifest.name, {
    version: manifest.version,
    bomRef: manifest.name,
  });
  product.licenses.add(new Models.LicenseExpression(manifest.license));
  bom.metadata.component = product;
  const components = new Map<string, Component>();
  for (const [path, entry] of installed) {
    const component = makeComponent({ Models }, path, entry);
    components.set(path, component);
    bom.components.add(component);
  }
  for (const [name, version] of Object.entries(software))
    bom.components.add(new Models.Component('platform', name, { version, bomRef: `platform/${name}` }));
  const packages = new Map(installed);
  for (const [path, entry] of installed) {
    for (const needed of findNeeded(packages, path, entry))
      components.get(path)?.dependencies.add(components.get(needed)!.bomRef);
  }
  for (const needed of findNeeded(packages, '', manifest)) product.dependencies.add(components.get(needed)!.bomRef);
  const factory = new Serialize.JSON.Normalize.Factory(Spec.SpecVersionDict[SPECIFICATION]);
  return new Serialize.JsonSerializer(factory).serialize(bom, { sortLists: true, space: 2 });
}

function makeComponent({ Models }: Pick<CycloneDx, 'Models'>, path: string, entry: Installed): Component {
  const full = readName(path, entry);
  const [group, name] = full.startsWith('@') ? (full.split('/', 2) as [string, string]) : [undefined, full];
  const { version = '' } = entry;
  const component = new Models.Component('library', name, {
    version,
    ...(group === undefined ? {} : { group }),
    bomRef: path,
    purl: `pkg:npm/${group === undefined ? '' : `${encodeURIComponent(group)}/`}${name}@${encodeURIComponent(version)}`,
    scope: entry.dev || entry.devOptional ? 'excluded' : entry.optional ? 'optional' : 'required',
  });
  const [algorithm, digest] = /^(sha512|sha1)-(\S+)/.exec(entry.integrity ?? '')?.slice(1) ?? [];
  if (algorithm !== undefined && digest !== undefined)
    component.hashes.set(algorithm === 'sha1' ? 'SHA-1' : 'SHA-512', Buffer.from(digest, 'base64').toString('hex'));
  if (entry.license !== undefined) component.licenses.add(new Models.LicenseExpression(entry.license));
  component.properties.add(new Models.Property('cdx:npm:package:path', path));
  if (entry.dev || entry.devOptional)
    component.properties.add(new Models.Property('cdx:npm:package:development', 'true'));
  return component;
}

/** Finds the installed packages that a package uses, as Node.js finds them: beside it, and then further up. */
function findNeeded(packages: ReadonlyMap<string, Installed>, path: string, entry: Installed | Manifest): string[] {
  const { dependencies, optionalDependencies, peerDependencies } = entry as Installed;
  return Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }).flatMap((name) => {
    for (let from = path; ; from = posix.dirname(from)) {
      const candidate = from === '' || from === '.' ? `node_modules/${name}` : `${from}/node_modules/${name}`;
      if (packages.has(candidate)) return [candidate];
      if (from === '' || from === '.') return [];
    }
  });
}

function countBy(texts: readonly string[]): (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort(([one], [other]) => one.localeCompare(other, 'en'));
}
