import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Accounts } from './accounts.ts';
import { createAuditRoutes } from './audit-view.ts';
import { readJson, type Routes, sendJson } from './http.ts';
import { sendFile } from './page-files.ts';
import { PasskeyNames } from './passkey-names.ts';
import { createPasskeyRoutes } from './passkeys.ts';
import { PasswordAttempts } from './password-attempts.ts';
import { Refusal, toRefusal } from './refusal.ts';
import { Sessions } from './sessions.ts';
import { accountsFile, connectAs, origin, port } from './settings.ts';
import { createSignInRoutes } from './sign-in.ts';

const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

const passkeys = connectAs('auth-service');
const auditor = connectAs('auditor');
const accounts = new Accounts(accountsFile);
const sessions = new Sessions();
const attempts = new PasswordAttempts();
const names = new PasskeyNames();
const routes: Routes = {
  ...createSignInRoutes(passkeys, accounts, sessions, attempts),
  ...createPasskeyRoutes(passkeys, accounts, sessions, names),
  ...createAuditRoutes(auditor, passkeys, accounts, names),
};

async function answerRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname } = new URL(request.url ?? '/', origin);
  // Passkeys belong to a host name, not to an address. The check also stops foreign names (DNS rebinding).
  if (request.headers.host !== new URL(origin).host) {
    redirect(response, origin);
    return;
  }
  if (!pathname.startsWith('/api/')) return sendFile(response, pathname);
  const id = UUID.exec(pathname)?.[0] ?? '';
  const route = routes[`${request.method ?? ''} ${pathname.replace(UUID, ':id')}`];
  if (!route) throw new Refusal(404, 'not-found');
  if (request.method !== 'GET' && request.headers.origin !== origin) throw new Refusal(403, 'origin-foreign');
  const body = await readJson(request);
  sendJson(response, 200, await route({ request, response, session: sessions.getSession(request), id, body }));
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(302, { location }).end();
}

const server = createServer((request, response) => {
  answerRequest(request, response).catch((error: unknown) => {
    const { status, body } = toRefusal(error);
    sendJson(response, status, body);
  });
});

server.once('error', (error: NodeJS.ErrnoException) => {
  const taken = error.code === 'EADDRINUSE';
  console.error(taken ? `Port ${String(port)} is in use. Set AUTH_SERVICE_PORT to another port.` : error.message);
  process.exitCode = 1;
});
server.listen(port, '127.0.0.1', () => {
  console.log(`auth-service listens on ${origin}`);
});

/** `disconnect`: the demo, which has started this program, is gone. */
for (const cause of ['SIGINT', 'SIGTERM', 'disconnect'] as const) {
  process.once(cause, () => {
    server.close(() => {
      passkeys.close();
      auditor.close();
    });
    server.closeIdleConnections();
    process.channel?.unref();
  });
}
