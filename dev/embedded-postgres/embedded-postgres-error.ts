/** The end of every message about a machine where the embedded database cannot run. */
export const WAY_OUT = 'Or set DATABASE_URL to use a PostgreSQL 15 or newer.';

/** The embedded database cannot run, and the user can correct the reason. The message says how. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}
