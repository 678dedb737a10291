import { DatabaseSession } from '../../src/database/database-session.js';

/** How the service reaches its database. */
export interface DatabaseConnection {
  readonly server: string;
  readonly role: string;
  /** `sslmode` and its certificates, from DATABASE_URL. */
  readonly settings: string;
  /**
   * The TLS version and cipher of a connection, as PostgreSQL reports them, or why there is none; empty for the
   * embedded database.
   */
  readonly agreed: string;
}

const TLS_SETTINGS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'sslnegotiation', 'channel_binding'];
const PATIENCE_MS = 3_000;

/** Describes how the service reaches its database. @param url undefined: the embedded database of development */
export async function describeDatabase(url: string | undefined, passwordFile?: string): Promise<DatabaseConnection> {
  if (url === undefined) {
    return { server: 'embedded, on loopback', role: '', settings: 'no TLS: development only', agreed: '' };
  }
  const { hostname, port, pathname, username, searchParams } = new URL(url);
  const settings = TLS_SETTINGS.filter((name) => searchParams.has(name)).map(
    (name) => `${name}=${searchParams.get(name) ?? ''}`,
  );
  return {
    server: `${hostname}:${port || '5432'}${pathname}`,
    role: username,
    settings: settings.join(' ') || 'none: TLS is not requested',
    agreed: await readAgreedTls(url, passwordFile),
  };
}

async function readAgreedTls(url: string, passwordFile: string | undefined): Promise<string> {
  const client = new DatabaseSession({
    connectionString: url,
    passwordFile,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
    application_name: 'passkey-manager inventory',
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ ssl: boolean; version: string; cipher: string }>(
      'SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    return rows[0]?.ssl ? `${rows[0].version}, ${rows[0].cipher}` : 'no TLS';
  } catch (error) {
    return `no connection: ${(error as NodeJS.ErrnoException).code ?? 'refused'}`;
  } finally {
    await client.end().catch(() => undefined);
  }
}
