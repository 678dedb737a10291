import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readJson, type Routes, sendJson } from './http.ts';
import { sendFile } from './page-files.ts';
import { Refusal, toRefusal } from './refusal.ts';
import type { Sessions } from './sessions.ts';

export interface Site {
  readonly name: string;
  readonly origin: string;
  /** The setting that has the port. */
  readonly portSetting: string;
  /** Files by the prefix of their paths. */
  readonly folders: Readonly<Record<string, URL>>;
  readonly routes: Routes;
  readonly sessions: Sessions;
  /** Throws a Refusal for a request that does not come from who may send it. */
  readonly admit: (request: IncomingMessage, path: string) => void;
  readonly close: () => void;
}

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

/** Serves a page and its routes until the process is asked to end. */
export function serve(site: Site): void {
  const server = createServer((request, response) => {
    answerRequest(site, request, response).catch((error: unknown) => {
      const { status, body } = toRefusal(error);
      sendJson(response, status, body);
    });
  });
  const port = Number(new URL(site.origin).port);
  server.once('error', (error: NodeJS.ErrnoException) => {
    const taken = error.code === 'EADDRINUSE';
    console.error(taken ? `Port ${String(port)} is in use. Set ${site.portSetting} to another port.` : error.message);
    process.exitCode = 1;
  });
  server.listen(port, '127.0.0.1', () => {
    console.log(`${site.name} listens on ${site.origin}`);
  });
  stopOnRequest(server, site);
}

async function answerRequest(site: Site, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', site.origin);
  // Passkeys belong to a host name, not to an address. The check also stops foreign names (DNS rebinding).
  if (request.headers.host !== new URL(site.origin).host) {
    response.writeHead(302, { location: site.origin }).end();
    return;
  }
  if (!/^\/(api|shop)\//.test(pathname)) return sendFile(response, pathname, site.folders);
  const id = UUID.exec(pathname)?.[0] ?? '';
  const route = site.routes[`${request.method ?? ''} ${pathname.replace(UUID, ':id')}`];
  if (!route) throw new Refusal(404, 'not-found');
  site.admit(request, pathname);
  const body = await readJson(request);
  sendJson(response, 200, await route({ request, response, session: site.sessions.getSession(request), id, body }));
}

/** @throws Refusal origin-foreign if another page than the site's own sends a request that changes something */
export function requireOwnPage({ method, headers }: IncomingMessage, origin: string): void {
  if (method !== 'GET' && headers.origin !== origin) throw new Refusal(403, 'origin-foreign');
}

/** How long requests that run may take after the end has begun. */
const GRACE_MS = 2_000;

/** `disconnect`: the demo, which has started this program, is gone. */
function stopOnRequest(server: Server, site: Site): void {
  for (const cause of ['SIGINT', 'SIGTERM', 'disconnect'] as const) {
    process.once(cause, () => {
      server.close(site.close);
      server.closeIdleConnections();
      // A request of the page that still waits for an answer must not keep the site alive.
      setTimeout(() => {
        server.closeAllConnections();
      }, GRACE_MS).unref();
      process.channel?.unref();
    });
  }
}
