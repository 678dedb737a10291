import type { Server } from 'node:http';

/** Milliseconds. */
export const REQUEST_TIMEOUTS = {
  /** The time from a connection's first moment, or a request's first byte, to the end of its head. */
  headersTimeout: 10_000,
  /** The time to the end of its body. */
  requestTimeout: 15_000,
  /** Answers promise it; node:http adds a second. */
  keepAliveTimeout: 65_000,
  /** How often node:http looks for requests that are late. */
  connectionsCheckingInterval: 2_000,
} as const;

/**
 * Puts the timeouts in force on a server that does not listen yet. Options of a server are not enough: Fastify replaces
 * `requestTimeout` (by 0, which waits for ever) and `keepAliveTimeout` after it has made the server from its options.
 */
export function limitRequestTimes(server: Server): void {
  Object.assign(server, REQUEST_TIMEOUTS);
}
