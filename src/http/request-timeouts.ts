import type { Server } from 'node:http';

/** Time limits of a request, in milliseconds. */
export const REQUEST_TIMEOUTS = {
  /** From the start of the connection, or the first byte of a later request, to the end of the head. */
  headersTimeout: 10_000,
  /** From the same start to the end of the body. */
  requestTimeout: 15_000,
  /** From an answer to the next request. Answers announce it; node:http adds a second. */
  keepAliveTimeout: 65_000,
  /** The interval at which node:http looks for late requests. */
  connectionsCheckingInterval: 2_000,
} as const;

/**
 * Sets the timeouts on a server that does not listen yet. Server options are not enough: after Fastify has made the
 * server, it replaces `requestTimeout` (by 0, which waits for ever) and `keepAliveTimeout`.
 */
export function setRequestTimeouts(server: Server): void {
  Object.assign(server, REQUEST_TIMEOUTS);
}
