/** Ends every message about a machine on which the embedded database can't work. */
export const WAY_OUT = 'Or set DATABASE_URL to use a PostgreSQL 15 or newer.';

/** The embedded database can't serve, for a reason that its user can do something about. The message says what. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}
