import { globSync, readFileSync } from 'node:fs';
import { extname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly type: string;
  readonly content: Buffer;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Where tools/build.ts puts the page, seen from dist/commands/console. */
const FOLDER = fileURLToPath(new URL('../../console', import.meta.url));

/**
 * Reads every file of the page, by its path in an address. The server knows no other file, so no path of a request reaches the
 * disk.
 *
 * @throws Error if the page is not built
 */
export function readPageFiles(folder = FOLDER): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of globSync('**/*.{html,js,json,css,svg}', { cwd: folder })) {
    const content = readFileSync(join(folder, name));
    files.set(`/${name.split(sep).join('/')}`, { type: TYPES[extname(name)]!, content });
  }
  const index = files.get('/console/index.html');
  if (!index) throw new Error(`the page is not in ${folder}: build it with npm run build`);
  files.set('/', index);
  return files;
}
