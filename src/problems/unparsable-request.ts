import { Problem } from './problem.js';

/**
 * Says what is wrong with a request that the HTTP parser could not read.
 *
 * @returns undefined where HTTP cannot answer: the handshake failed, or the connection broke
 */
export function describeUnparsable({ code = '' }: Error & { code?: string }): Problem | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return tooLarge('the headers are over 16 KiB, or more than 64');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return tooLarge('the extensions of a chunk are over 16 KiB');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return malformed('the request did not arrive in time');
  return code.startsWith('HPE_') ? malformed('it is not HTTP/1.1') : undefined;
}

function tooLarge(detail: string): Problem {
  return new Problem('request-too-large', { detail });
}

function malformed(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '', detail }] });
}
