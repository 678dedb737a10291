import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { ServiceCaller } from '../service/service-caller.js';
import { answerProblem, type ConsoleProblem, HEADERS } from './answers.js';
import type { Method } from './operations.js';

/** The service takes no longer body of JSON. */
const MAX_BODY_BYTES = 65_536;

/** The headers of an answer that the page may see. */
const PASSED = ['content-type', 'content-disposition', 'retry-after', 'location', 'etag', 'x-request-id'];

/**
 * Passes a request on to the service, with the certificate of the person who started the console, and streams the answer as it
 * comes. The service decides.
 */
export async function passOn(
  service: ServiceCaller,
  method: Method,
  target: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await readBody(request);
  if (body === undefined) {
    answerProblem(response, TOO_LARGE);
    return;
  }
  const type = request.headers['content-type'] ?? 'application/json';
  let answer: IncomingMessage;
  try {
    answer = await service.open(method, target, body.length === 0 && method === 'GET' ? undefined : { type, body });
  } catch (error) {
    answerProblem(response, describeSilence(error as NodeJS.ErrnoException, service.url));
    return;
  }
  const headers = PASSED.flatMap((name) => {
    const value = answer.headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  response.writeHead(answer.statusCode ?? 502, { ...HEADERS, ...Object.fromEntries(headers) });
  // An answer that breaks off must not look whole, and nobody reads on for a page that is gone: pipeline ends both.
  await pipeline(answer, response).catch(() => undefined);
}

const TOO_LARGE: ConsoleProblem = {
  status: 413,
  slug: 'request-too-large',
  title: 'The request is too large',
  detail: 'The service takes no more than 65,536 bytes. Shorten the text.',
};

/** @returns undefined if the body is too large */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // The rest is read and dropped, so that the answer arrives. The server gives a request half a minute.
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return length > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks);
}

/** What to do next, by what went wrong. */
const NEXT_STEPS: readonly (readonly [RegExp, string])[] = [
  [
    /^(?:ECONNREFUSED|EHOSTUNREACH|ENETUNREACH)$/,
    'Nothing listens there. Start the service, or name its address by --url (in development: PASSKEY_HTTPS_PORT).',
  ],
  [/^(?:ENOTFOUND|EAI_AGAIN)$/, 'No host has this name. Check --url.'],
  [
    /SELF_SIGNED|UNABLE_TO_|CERT_SIGNATURE/,
    'The certificate of the service does not lead to an authority of --ca. Check --ca, and do not trust this service before.',
  ],
  [/ALTNAME/, 'The certificate of the service is for another host. Check --url.'],
  [/^CERT_HAS_EXPIRED$/, 'The certificate of the service has expired.'],
  [/ALERT/, 'The service refuses your certificate. Check --cert: it may have expired or be revoked.'],
];

/** Says why the service gave no answer, at which address, and what to do. */
export function describeSilence(error: NodeJS.ErrnoException, { origin }: URL): ConsoleProblem {
  const code = error.code ?? '';
  const step = NEXT_STEPS.find(([pattern]) => pattern.test(code))?.[1];
  return {
    status: 502,
    slug: 'service-unreachable',
    title: 'The service gave no answer',
    detail: `Tried ${origin}. ${step ?? 'Try again; if it stays so, ask the operator of the service.'} (${code || error.message})`,
  };
}
