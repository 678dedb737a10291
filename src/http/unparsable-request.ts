import { Problem } from './problem.js';

/**
 * Describes a request that the HTTP parser could not read.
 *
 * @returns undefined if HTTP cannot answer, because the handshake failed or the connection broke
 */
export function describeUnparsable({ code = '' }: Error & { code?: string }): Problem | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return tooLarge('there are more than 16 KiB of headers, or more than 64 headers');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return tooLarge('a chunk has more than 16 KiB of extensions');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return malformed('the request did not arrive in time');
  return code.startsWith('HPE_') ? malformed('the request is not HTTP/1.1') : undefined;
}

function tooLarge(detail: string): Problem {
  return new Problem('request-too-large', { detail });
}

function malformed(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '', detail }] });
}
