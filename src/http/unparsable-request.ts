import { Problem } from './problem.js';

/**
 * Describes a request that the HTTP parser could not read.
 *
 * @returns undefined if HTTP cannot answer, because the handshake failed or the connection broke
 */
export function toUnparsableProblem({ code = '' }: Error & { code?: string }): Problem | undefined {
  if (code === 'HPE_HEADER_OVERFLOW')
    return createTooLargeProblem('there are more than 16 KiB of headers, or more than 64 headers');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return createTooLargeProblem('a chunk has more than 16 KiB of extensions');
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return createMalformedProblem('the request did not arrive in time');
  return code.startsWith('HPE_') ? createMalformedProblem('the request is not HTTP/1.1') : undefined;
}

function createTooLargeProblem(detail: string): Problem {
  return new Problem('request-too-large', { detail });
}

function createMalformedProblem(detail: string): Problem {
  return new Problem('request-malformed', { invalid: [{ pointer: '', detail }] });
}
