/**
 * Builds the page of the console: `npm run build` calls it. TypeScript compiles `console/` and the files of the service that the
 * page imports, one module a file. The files of packages that these import are copied to `vendor`. A browser finds a module by its
 * address alone, so each import of a package gets the address of its copy, and each of `node:crypto` or `node:buffer` that of the
 * page's own implementation.
 *
 * The image is built by this file and tools/build.ts alone, so they import nothing else of the project.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** The packages that the page may import, and the file that the name of one alone stands for. */
const VENDORED: Readonly<Record<string, string | undefined>> = {
  'lit-html': 'lit-html.js',
  uplot: 'dist/uPlot.esm.js',
  canonicalize: 'lib/canonicalize.js',
  '@noble/hashes': undefined,
  '@noble/curves': undefined,
  '@noble/post-quantum': undefined,
};

/** The files of packages that no module imports. */
const VENDORED_STYLES = ['uplot/dist/uPlot.min.css'];

/** What the page has in place of modules of Node.js. */
const OWN: Readonly<Record<string, string>> = {
  'node:crypto': '/console/node/crypto.js',
  'node:buffer': '/console/node/buffer.js',
};

/** The files of the page that are no modules. */
const ASSETS = 'console/**/*.{html,css,svg}';

/** What the page is built from, beside the source of the service. */
export const PAGE_SOURCES = ['console/**/*.{ts,json,html,css,svg}', 'clients/typescript/src/contract.ts'];

/** @param folder where the page is put. @returns what does not compile; undefined if the page is there */
export async function buildPage(folder: string): Promise<string | undefined> {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'console/tsconfig.json', '--outDir', folder];
  const { status, stdout } = spawnSync(process.execPath, tsc, { stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) return stdout.toString();
  for (const asset of globSync(ASSETS)) cpSync(asset, join(folder, asset));
  const licences = Object.keys(VENDORED).map((name) => `${name}/LICENSE`);
  for (const file of [...VENDORED_STYLES, ...licences]) copyVendored(file, folder);
  const { preProcessFile } = (await import('typescript')).default;
  const modules = globSync('**/*.js', { cwd: folder });
  const seen = new Set(modules);
  // Grows while it is read: a module may be the first to import a file of a package.
  for (const file of modules) {
    if (file.startsWith('vendor/')) copyVendored(file.slice('vendor/'.length), folder);
    const path = join(folder, file);
    const text = readFileSync(path, 'utf8');
    let addressed = text;
    // The last import comes first, so that the places of the others stay.
    for (const { fileName, pos } of preProcessFile(text, true, true).importedFiles.toReversed()) {
      const isRelative = fileName.startsWith('.');
      const address = isRelative ? posix.join('/', posix.dirname(file), fileName) : findAddress(fileName);
      const module = address.slice(1);
      if (module.startsWith('vendor/') && !seen.has(module)) {
        seen.add(module);
        modules.push(module);
      }
      if (isRelative) continue;
      const start = addressed.indexOf(fileName, pos);
      addressed = addressed.slice(0, start) + address + addressed.slice(start + fileName.length);
    }
    if (addressed !== text) writeFileSync(path, addressed);
  }
  return undefined;
}

/** @param file below the folder of its package */
function copyVendored(file: string, folder: string): void {
  cpSync(join('node_modules', file), join(folder, 'vendor', file));
}

function findAddress(specifier: string): string {
  const own = OWN[specifier];
  if (own !== undefined) return own;
  const name = Object.keys(VENDORED).find((name) => specifier === name || specifier.startsWith(`${name}/`));
  const file = specifier === name ? VENDORED[name] : specifier.slice((name ?? '').length + 1);
  if (name === undefined || file === undefined) throw new Error(`tools/build-page.ts does not know ${specifier}`);
  return `/vendor/${name}/${file}`;
}
