/**
 * The server of the console: it serves the page to one browser on this machine, and passes the calls of the page on to the
 * service. docs/adr/0054-console.md says against whom each check stands.
 *
 * gate.ts refuses what does not come from the page, session.ts knows the browser, page-files.ts has the page, operations.ts is
 * the closed list of what is passed on, and relay.ts passes it on.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServiceCaller } from '../service/service-caller.js';
import { answerJson, answerPage, answerProblem, HEADERS } from './answers.js';
import { refuseCall, refuseHost, refuseVisit } from './gate.js';
import { passManagement } from './management.js';
import type { Operations } from './operations.js';
import type { PageFile } from './page-files.js';
import { passOn } from './relay.js';
import { Session } from './session.js';

export interface ConsoleParts {
  readonly service: ServiceCaller;
  readonly serviceUrl: URL;
  readonly operations: Operations;
  readonly files: ReadonlyMap<string, PageFile>;
  /** The management listener of the service, if the person named one. */
  readonly managementUrl: URL | undefined;
}

const HOST = '127.0.0.1';
const API = '/api';

export class ConsoleServer {
  readonly #parts: ConsoleParts;
  readonly #session = new Session();
  readonly #server: Server;

  private constructor(parts: ConsoleParts) {
    this.#parts = parts;
    this.#server = createServer({ requestTimeout: 30_000 }, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** @param port 0 for any free one. @throws Error if the port is taken */
  static async listen(parts: ConsoleParts, port = 0): Promise<ConsoleServer> {
    const console = new ConsoleServer(parts);
    console.#server.listen(port, HOST);
    await once(console.#server, 'listening');
    return console;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The address that opens the page, once. */
  get address(): string {
    return `${this.#origin}/?token=${this.#session.token}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  get #origin(): string {
    return `http://${HOST}:${String(this.port)}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path, query] = splitTarget(request.url ?? '');
    const isCall = path.startsWith(`${API}/`);
    const refused =
      refuseHost(request.headers, `${HOST}:${String(this.port)}`) ??
      (isCall ? refuseCall(request, this.#origin) : refuseVisit(request, this.#origin));
    const token = path === '/' ? new URLSearchParams(query).get('token') : null;
    if (refused) answerProblem(response, refused);
    else if (token !== null) this.#begin(token, response);
    else if (!this.#session.admits(request.headers.cookie, this.port)) turnAway(isCall, response);
    else if (isCall) await this.#call(path.slice(API.length), query, request, response);
    else this.#serve(path, request, response);
  }

  #begin(token: string, response: ServerResponse): void {
    const cookie = this.#session.spend(token, this.port);
    if (cookie !== undefined) response.writeHead(303, { ...HEADERS, location: '/', 'set-cookie': cookie }).end();
    else if (this.#session.isSpent)
      answerPage(
        response,
        403,
        'This address has been used',
        'The address of the console works once, so that nobody who sees it later gets in.',
        `The browser that used it finds the console at ${this.#origin}/. If that was not you, stop the console at once.`,
        'For another browser, stop the console and start it again.',
      );
    else turnAway(false, response);
  }

  #serve(path: string, { method }: IncomingMessage, response: ServerResponse): void {
    const file = this.#parts.files.get(path);
    if (!file) {
      answerPage(response, 404, 'No such page', `The console is at ${this.#origin}/.`);
      return;
    }
    response.writeHead(200, { ...HEADERS, 'content-type': file.type, 'content-length': file.content.length });
    response.end(method === 'HEAD' ? undefined : file.content);
  }

  async #call(
    path: string,
    query: string | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const { service, serviceUrl, operations, managementUrl } = this.#parts;
    const { method } = request;
    if (method === 'GET' && path === '/console')
      answerJson(response, { service: serviceUrl.origin, management: managementUrl !== undefined });
    else if (method === 'GET' && path.startsWith('/management/')) await passManagement(managementUrl, path, response);
    else if (operations.has(method, path))
      await passOn(service, method, query === undefined ? path : `${path}?${query}`, request, response);
    else
      answerProblem(response, {
        status: 404,
        slug: 'not-passed-on',
        title: 'The console does not pass this on',
        detail: 'The console passes a closed list of operations on to the service, and this is none of them.',
      });
  }
}

function splitTarget(target: string): [path: string, query: string | undefined] {
  const at = target.indexOf('?');
  return at === -1 ? [target, undefined] : [target.slice(0, at), target.slice(at + 1)];
}

/** Answers a browser that has not opened the address. */
function turnAway(isCall: boolean, response: ServerResponse): void {
  const title = 'This browser has no session';
  const detail = 'Open the address that the console printed when it started. It works once, in one browser.';
  if (isCall) answerProblem(response, { status: 401, slug: 'no-session', title, detail });
  else answerPage(response, 401, title, detail, 'If it has been used, stop the console and start it again.');
}
