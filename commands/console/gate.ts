import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { ConsoleProblem } from './answers.js';

/**
 * Refuses a request that names another host. A page elsewhere can let its own name lead to 127.0.0.1 (DNS rebinding), and its
 * browser then sends that name.
 */
export function refuseHost({ host }: IncomingHttpHeaders, own: string): ConsoleProblem | undefined {
  if (host === own) return undefined;
  return {
    status: 421,
    slug: 'host-denied',
    title: 'The console does not answer for this host',
    detail: `Open http://${own}/.`,
  };
}

/** Refuses a call that the page did not make. Every browser says where a call comes from (Fetch Metadata). */
export function refuseCall({ method, headers }: IncomingMessage, origin: string): ConsoleProblem | undefined {
  const isOwn = headers['sec-fetch-site'] === 'same-origin';
  const names = headers.origin === undefined ? method === 'GET' : headers.origin === origin;
  return isOwn && names ? undefined : FOREIGN;
}

/** Refuses a visit that another site caused, by a link, a frame or a script. */
export function refuseVisit({ method, headers }: IncomingMessage, origin: string): ConsoleProblem | undefined {
  if (method !== 'GET' && method !== 'HEAD')
    return { status: 405, slug: 'method-denied', title: 'The page is only read', detail: 'Use GET.' };
  const site = headers['sec-fetch-site'];
  const isOwn = site === 'same-origin' || site === 'none';
  return isOwn && (headers.origin === undefined || headers.origin === origin) ? undefined : FOREIGN;
}

const FOREIGN: ConsoleProblem = {
  status: 403,
  slug: 'foreign-request',
  title: 'The request does not come from the console',
  detail:
    'Another site sent it, or a program that does not say where its request comes from. Type the address of the console.',
};
