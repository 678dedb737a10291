import { readFileSync } from 'node:fs';
import { getCACertificates } from 'node:tls';
import type pg from 'pg';
import { type DatabaseTls, isSocket, parseDatabaseUrl } from '../config/database-url.js';

type Tls = NonNullable<Exclude<pg.ClientConfig['ssl'], boolean>>;

/**
 * Gives node-postgres what the URL says. Its own reader takes neither several hosts nor libpq's meaning of `sslmode`.
 *
 * @param server the number of the server in the URL
 * @throws DatabaseUrlError, or an error of a file that the URL names
 */
export function createClientConfig(url: string, server: number): pg.ClientConfig {
  const { servers, user, password, database, tls } = parseDatabaseUrl(url);
  const { host, port } = servers[server]!;
  const ssl = tls.mode !== 'disable' && !isSocket({ host, port }) && readTls(tls);
  const negotiation = ssl && tls.direct ? { sslnegotiation: 'direct' as const } : {};
  return { host, port, user, password, database, ssl, ...negotiation };
}

/** @returns 1 for a URL that cannot be read: a session reports that */
export function countServers(url: string | undefined): number {
  try {
    return url === undefined ? 1 : parseDatabaseUrl(url).servers.length;
  } catch {
    return 1;
  }
}

/** Reads the files for each connection, so that they may change while the service runs. */
function readTls({ mode, rootCertificate, certificate, key, keyPassphrase }: DatabaseTls): Tls {
  return {
    ca: rootCertificate === undefined ? undefined : readAuthorities(rootCertificate),
    cert: certificate === undefined ? undefined : readFileSync(certificate, 'utf8'),
    key: key === undefined ? undefined : readFileSync(key, 'utf8'),
    passphrase: keyPassphrase,
    // With a root, libpq verifies the chain although the mode is only `require`.
    rejectUnauthorized: mode !== 'require' || rootCertificate !== undefined,
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  };
}

function readAuthorities(path: string): string | string[] {
  return path === 'system' ? getCACertificates('system') : readFileSync(path, 'utf8');
}
