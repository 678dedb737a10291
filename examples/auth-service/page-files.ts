import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECURITY_HEADERS } from './http.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The folders of auth-service's page, by the prefix of their paths. The root comes last. */
export const PAGE = {
  '/vendor/simplewebauthn/': new URL('.', import.meta.resolve('@simplewebauthn/browser')),
  '/': new URL('./page/', import.meta.url),
};

/** Sends a file of a page from disk. There is no build step. */
export async function sendFile(
  response: ServerResponse,
  path: string,
  folders: Readonly<Record<string, URL>>,
): Promise<void> {
  const [prefix, folder] = Object.entries(folders).find(([prefix]) => path.startsWith(prefix))!;
  const file = new URL(path === '/' ? 'index.html' : `./${path.slice(prefix.length)}`, folder);
  const type = TYPES[extname(file.pathname)];
  try {
    if (!type || !file.href.startsWith(folder.href)) throw new Error('outside the page');
    const content = await readFile(fileURLToPath(file));
    response.writeHead(200, { ...SECURITY_HEADERS, 'content-type': type, 'cache-control': 'no-cache' }).end(content);
  } catch {
    response.writeHead(404, { ...SECURITY_HEADERS, 'content-type': 'text/plain' }).end('There is no such page.\n');
  }
}
