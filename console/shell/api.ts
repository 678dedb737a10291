import type { components, paths } from '../../clients/typescript/src/contract.js';
import { type ProblemBody, Problem } from './problem.js';

/** The types of the contract, as src/openapi/openapi.yaml describes them. */
export type Schemas = components['schemas'];

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
/** The paths that have a method. */
type PathOf<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, object> ? P : never }[keyof paths];
type Operation<P extends keyof paths, M extends Method> = Extract<paths[P][M], object>;

type Sent<O> = O extends { parameters: infer Parameters }
  ? (Parameters extends { path: infer Path } ? { readonly path: Path } : object) &
      (Parameters extends { query?: infer Query } ? { readonly query?: Query } : object) &
      (O extends { requestBody: { content: { 'application/json': infer Body } } } ? { readonly body: Body } : object)
  : object;

type Answer<O> = O extends { responses: infer Responses }
  ? {
      [Status in keyof Responses & (200 | 201 | 202 | 204)]: Responses[Status] extends {
        content: { 'application/json': infer Body };
      }
        ? Body
        : undefined;
    }[keyof Responses & (200 | 201 | 202 | 204)]
  : never;

interface Options {
  readonly signal?: AbortSignal;
}

interface Loose {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** Calls an operation of the service, and returns the JSON of its answer. @throws Problem */
export async function call<M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  sent: Sent<Operation<P, M>>,
  options?: Options,
): Promise<Answer<Operation<P, M>>> {
  const response = await open(method, path, sent, options);
  return (response.status === 204 ? undefined : await response.json()) as Answer<Operation<P, M>>;
}

/** Reads an operation whose answer is a text. @throws Problem */
export async function readText<P extends PathOf<'get'>>(
  path: P,
  sent: Sent<Operation<P, 'get'>>,
  options?: Options,
): Promise<string> {
  return (await open('get', path, sent, options)).text();
}

/** Opens an operation whose answer is a stream. @throws Problem */
export async function openStream<P extends PathOf<'get'>>(
  path: P,
  sent: Sent<Operation<P, 'get'>>,
  options?: Options,
): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  return (await open('get', path, sent, options)).body!;
}

/** Reads from the console itself, or from the management listener. @throws Problem */
export async function readConsole(path: 'console' | 'management/metrics' | 'management/ready'): Promise<Response> {
  return send(`/api/${path}`, {});
}

function open(method: Method, path: string, sent: Loose, { signal }: Options = {}): Promise<Response> {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(sent.path?.[name] ?? ''));
  const query = Object.entries(sent.query ?? {}).filter(([, value]) => value !== undefined && value !== '');
  const search = new URLSearchParams(query.map(([name, value]) => [name, String(value)])).toString();
  return send(`/api${filled}${search && `?${search}`}`, {
    method: method.toUpperCase(),
    ...(sent.body !== undefined && {
      body: JSON.stringify(sent.body),
      headers: { 'content-type': 'application/json' },
    }),
    ...(signal && { signal }),
  });
}

async function send(address: string, init: RequestInit): Promise<Response> {
  const response = await fetch(address, { ...init, redirect: 'error' }).catch((error: unknown) => {
    if ((error as Error).name === 'AbortError') throw error;
    throw new Problem({
      type: 'urn:passkey-manager:console:console-stopped',
      title: 'The console does not run',
      status: 0,
      detail: 'Start it again, and open the address that it prints.',
    });
  });
  if (response.ok) return response;
  const body = (await response.json().catch(() => undefined)) as Partial<ProblemBody> | undefined;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  throw new Problem(
    { type: 'about:blank', title: 'The answer was unexpected', ...body, status: response.status },
    Number.isFinite(seconds) ? seconds : undefined,
  );
}
