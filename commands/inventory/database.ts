import { parseDatabaseUrl } from '../../src/config/database-url.js';
import { DatabasePool } from '../../src/database/database-pool.js';

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

const PATIENCE_MS = 3_000;

/** Describes how the service reaches its database. @param url undefined: the embedded database of development */
export async function describeDatabase(url: string | undefined, passwordFile?: string): Promise<DatabaseConnection> {
  if (url === undefined) {
    return { server: 'embedded, on loopback', role: '', settings: 'no TLS: development only', agreed: '' };
  }
  const { servers, user = '', database = user, tls } = parseDatabaseUrl(url);
  const files = { sslrootcert: tls.rootCertificate, sslcert: tls.certificate, sslkey: tls.key };
  const named = Object.entries(files).flatMap(([name, path]) => (path === undefined ? [] : [`${name}=${path}`]));
  return {
    server: `${servers.map(({ host, port }) => `${host}:${String(port)}`).join()}/${database}`,
    role: user,
    settings: tls.mode === 'disable' ? 'none: TLS is not requested' : [`sslmode=${tls.mode}`, ...named].join(' '),
    agreed: await readAgreedTls(url, passwordFile),
  };
}

async function readAgreedTls(url: string, passwordFile: string | undefined): Promise<string> {
  const pool = new DatabasePool({
    connectionString: url,
    passwordFile,
    max: 1,
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
    application_name: 'passkey-manager inventory',
  });
  try {
    const { rows } = await pool.query<{ ssl: boolean; version: string; cipher: string }>(
      'SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    );
    return rows[0]?.ssl ? `${rows[0].version}, ${rows[0].cipher}` : 'no TLS';
  } catch (error) {
    return `no connection: ${(error as NodeJS.ErrnoException).code ?? 'refused'}`;
  } finally {
    await pool.end();
  }
}
