import { isLoopback } from './loopback.js';

/** A host and its port, or the directory of a Unix socket and the port that its name ends with. */
export interface DatabaseServer {
  readonly host: string;
  readonly port: number;
}

/** libpq's modes, without the two that fall back to an unencrypted connection. */
const TLS_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const;
export type TlsMode = (typeof TLS_MODES)[number];

export interface DatabaseTls {
  readonly mode: TlsMode;
  /** The file of the authorities, PEM; `system` for those of the operating system; undefined for those of Node.js. */
  readonly rootCertificate: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
  readonly keyPassphrase: string | undefined;
  /** True to begin with TLS at once, which PostgreSQL 17 understands. */
  readonly direct: boolean;
}

/** What a connection URI of libpq says. */
export interface DatabaseUrl {
  /** In the order in which they are tried; at least one. */
  readonly servers: readonly DatabaseServer[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: string | undefined;
  readonly tls: DatabaseTls;
}

/** Says what is wrong with the URL, as the rest of a sentence that begins with its name. It quotes no secret. */
export class DatabaseUrlError extends Error {
  override readonly name = 'DatabaseUrlError';
}

const DEFAULT_PORT = '5432';
/** The user and the password end at the last `@` before the path. */
const FORM = /^postgres(?:ql)?:\/\/(?:([^/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s;
/** Reading and writing sessions are the only ones that the service can use. */
const SESSION_ATTRIBUTES = ['any', 'read-write', 'primary'];
const PARAMETERS = ['host', 'port', 'user', 'password', 'dbname', 'target_session_attrs'].concat([
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslnegotiation',
]);
const RESERVED = 'Write / ? @ : % in it as %2F %3F %40 %3A %25, or keep the password in a file';

/**
 * Reads a connection URI as libpq does: several hosts, IPv6 addresses, `host` as a parameter, and the meaning of `sslmode`.
 * What it lacks comes from libpq's environment variables. A parameter that would have no effect is an error.
 *
 * @throws DatabaseUrlError
 */
export function parseDatabaseUrl(url: string, env: NodeJS.ProcessEnv = process.env): DatabaseUrl {
  const [form, credentials, hosts = '', path, query] = FORM.exec(url) ?? [];
  if (form === undefined) {
    throw new DatabaseUrlError('must be a URL of the form postgresql://user:password@host:port/database');
  }
  const parameters = parseQuery(query);
  const [user, password] = splitAtFirst(credentials ?? '', ':').map((text) => decode(text, 'user or its password'));
  return {
    servers: parseServers(hosts, parameters, env),
    user: parameters.get('user') || user || undefined,
    password: parameters.get('password') || password || undefined,
    database: parameters.get('dbname') || decode(path ?? '', 'database') || undefined,
    tls: parseTls(parameters, env),
  };
}

/** Reports whether every server is on this machine. */
export function isLocal({ servers }: DatabaseUrl): boolean {
  return servers.every(({ host }) => isLoopback(host));
}

/** Reports whether the directory of a Unix socket is meant. */
export function isSocket({ host }: DatabaseServer): boolean {
  return host.startsWith('/');
}

function parseQuery(query: string | undefined): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>();
  for (const part of query?.split('&') ?? []) {
    if (part === '') continue;
    const [name, value = ''] = splitAtFirst(part, '=');
    if (!PARAMETERS.includes(name)) {
      throw new DatabaseUrlError(`has the parameter "${name}"; the service knows only ${PARAMETERS.join(', ')}`);
    }
    parameters.set(name, decode(value, `parameter ${name}`));
  }
  const attributes = parameters.get('target_session_attrs') ?? 'any';
  if (!SESSION_ATTRIBUTES.includes(attributes)) {
    throw new DatabaseUrlError(
      `has target_session_attrs=${attributes}, and the service writes: it must be one of ${SESSION_ATTRIBUTES.join(', ')}`,
    );
  }
  return parameters;
}

function parseServers(
  authority: string,
  parameters: ReadonlyMap<string, string>,
  env: NodeJS.ProcessEnv,
): DatabaseServer[] {
  const given = parameters.get('host');
  const named = authority === '' ? [] : authority.split(',').map(splitHost);
  const hosts =
    given === undefined && named.some(([host]) => host !== '')
      ? named.map(([host]) => host)
      : (given ?? (env['PGHOST'] || 'localhost')).split(',');
  const ports = parameters.get('port')?.split(',') ?? (given === undefined ? named.map(([, port]) => port) : []);
  if (ports.length > 1 && ports.length !== hosts.length) {
    throw new DatabaseUrlError(`names ${String(hosts.length)} hosts and ${String(ports.length)} ports`);
  }
  const fallback = env['PGPORT'] || DEFAULT_PORT;
  return hosts.map((host, index) => ({
    host: host || 'localhost',
    port: parsePort((ports.length === 1 ? ports[0] : ports[index]) || fallback),
  }));
}

/** Splits `host:port`; an address of IPv6 stands in brackets. */
function splitHost(text: string): [host: string, port: string] {
  const [, address, name, port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/s.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined || port.includes(':')) {
    throw new DatabaseUrlError(`has a host that cannot be read: an address of IPv6 stands in brackets. ${RESERVED}`);
  }
  return [decode(host, 'host'), port];
}

function parsePort(text: string): number {
  const port = Number(text);
  // A password with a slash looks like a port, so the text stays out of the message.
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new DatabaseUrlError(`has a port that is not a number from 1 to 65535. ${RESERVED}`);
  }
  return port;
}

function parseTls(parameters: ReadonlyMap<string, string>, env: NodeJS.ProcessEnv): DatabaseTls {
  const read = (name: string): string | undefined =>
    parameters.get(name) || env[`PG${name.toUpperCase()}`] || undefined;
  const mode = read('sslmode') ?? 'disable';
  if (!isTlsMode(mode)) {
    throw new DatabaseUrlError(`has sslmode=${mode}; it must be one of ${TLS_MODES.join(', ')}`);
  }
  const tls = {
    mode,
    rootCertificate: read('sslrootcert'),
    certificate: read('sslcert'),
    key: read('sslkey'),
    keyPassphrase: parameters.get('sslpassword'),
    direct: readNegotiation(read('sslnegotiation')),
  };
  if (mode === 'disable' && [...parameters.keys()].some((name) => name.startsWith('ssl') && name !== 'sslmode')) {
    throw new DatabaseUrlError('has settings of TLS without an sslmode that uses them, such as sslmode=verify-full');
  }
  if (mode === 'verify-ca' && tls.rootCertificate === undefined) {
    throw new DatabaseUrlError(
      'has sslmode=verify-ca without sslrootcert: any public authority could vouch for any server',
    );
  }
  // libpq refuses this, too: any owner of a public certificate would pass.
  if (tls.rootCertificate === 'system' && mode !== 'verify-full' && mode !== 'disable') {
    throw new DatabaseUrlError(`has sslrootcert=system, which needs sslmode=verify-full and not ${mode}`);
  }
  if ((tls.certificate === undefined) !== (tls.key === undefined)) {
    throw new DatabaseUrlError('must have both sslcert and sslkey, or none of them');
  }
  return tls;
}

function isTlsMode(text: string): text is TlsMode {
  return (TLS_MODES as readonly string[]).includes(text);
}

function readNegotiation(text = 'postgres'): boolean {
  if (text !== 'postgres' && text !== 'direct') {
    throw new DatabaseUrlError(`has sslnegotiation=${text}; it must be one of postgres, direct`);
  }
  return text === 'direct';
}

function splitAtFirst(text: string, separator: string): [string, ...string[]] {
  const at = text.indexOf(separator);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function decode(text: string, where: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (!decoded.includes('\0')) return decoded;
  } catch {
    // Reported below.
  }
  throw new DatabaseUrlError(
    `has a % in its ${where} that is not followed by two hexadecimal digits of a character: write the sign itself as %25`,
  );
}
