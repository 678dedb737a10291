import { describe, expect, it } from '@jest/globals';
import { type DatabaseUrl, DatabaseUrlError, isLocal, parseDatabaseUrl } from './database-url.js';

const parse = (rest: string, env: NodeJS.ProcessEnv = {}): DatabaseUrl => parseDatabaseUrl(`postgresql://${rest}`, env);
const listServers = (rest: string, env?: NodeJS.ProcessEnv): string[] =>
  parse(rest, env).servers.map(({ host, port }) => `${host} ${String(port)}`);

function refuse(rest: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    parse(rest, env);
  } catch (error) {
    if (error instanceof DatabaseUrlError) return error.message;
    throw error;
  }
  return 'it was read';
}

describe('the servers of a URL', () => {
  it.each([
    ['a host', 'db/x', ['db 5432']],
    ['a host and a port', 'user:secret@db:6432/x', ['db 6432']],
    ['several hosts', 'a,b,c/x', ['a 5432', 'b 5432', 'c 5432']],
    ['a port for some of them', 'a:1,b,c:3/x', ['a 1', 'b 5432', 'c 3']],
    ['addresses of IPv6', '[::1]:6432,[2001:db8::7]/x', ['::1 6432', '2001:db8::7 5432']],
    ['an address of IPv6 with its zone', '[fe80::1%25eth0]/x', ['fe80::1%eth0 5432']],
    ['a socket', '%2Fvar%2Frun%2Fpostgresql/x', ['/var/run/postgresql 5432']],
    ['hosts as a parameter', '/x?host=a,b', ['a 5432', 'b 5432']],
    ['an address of IPv6 as a parameter', '/x?host=::1', ['::1 5432']],
    ['one port for all', '/x?host=a,b&port=6432', ['a 6432', 'b 6432']],
    ['a port each', '/x?host=a,b&port=1,2', ['a 1', 'b 2']],
    ['ports as a parameter', 'a,b/x?port=1,2', ['a 1', 'b 2']],
    ['a socket as a parameter', '/x?host=/var/run/postgresql', ['/var/run/postgresql 5432']],
    ['none', '/x', ['localhost 5432']],
    ['only a port', ':6432/x', ['localhost 6432']],
    ['nothing at all', '', ['localhost 5432']],
  ])('%s', (_, rest, servers) => {
    expect(listServers(rest)).toEqual(servers);
  });

  it('come from PGHOST and PGPORT where the URL has none', () => {
    const env = { PGHOST: 'a,b', PGPORT: '6432' };
    expect(listServers('/x', env)).toEqual(['a 6432', 'b 6432']);
    expect(listServers('c:1,d/x', env)).toEqual(['c 1', 'd 6432']);
  });

  it.each([
    ['a port of zero', 'db:0/x', /port/],
    ['a port that is too high', 'db:65536/x', /port/],
    ['a port that is no number', 'db:port/x', /port/],
    ['an address of IPv6 without brackets', '2001:db8::7/x', /IPv6 stands in brackets/],
    ['more ports than hosts', '/x?host=a,b&port=1,2,3', /2 hosts and 3 ports/],
    ['a host that is cut off', '[::1/x', /cannot be read/],
  ])('are refused with %s', (_, rest, message) => {
    expect(refuse(rest)).toMatch(message);
  });

  it('are local if every one is', () => {
    expect(isLocal(parse('127.0.0.1,[::1],localhost,%2Frun/x'))).toBe(true);
    expect(isLocal(parse('127.0.0.1,db/x'))).toBe(false);
  });
});

describe('the login of a URL', () => {
  const CHARACTERS = Array.from({ length: 127 - 33 }, (_, index) => String.fromCharCode(33 + index)).join('');

  it.each([CHARACTERS, 'p@ss:w/rd?#%25', '🔑 ünïcödé', ' ', '+', '%'])('has the password %j', (password) => {
    expect(parse(`me:${encodeURIComponent(password)}@db/x`).password).toBe(password);
    expect(parse(`me@db/x?password=${encodeURIComponent(password)}`).password).toBe(password);
  });

  it('may have characters as they are that cannot be mistaken', () => {
    expect(parse('me:a+b@c#d:e@db/x')).toMatchObject({ user: 'me', password: 'a+b@c#d:e', database: 'x' });
  });

  it('may be given as parameters, which have priority', () => {
    expect(parse('a:b@db/c?user=me&password=pw&dbname=passkeys')).toMatchObject({
      ...{ user: 'me', password: 'pw', database: 'passkeys' },
    });
  });

  it.each(['me:s3cret%@db/x', 'me:s3cret%zz@db/x', 'me:s3cret%ff@db/x', 'me:s3cret%00@db/x', 'me:s3/cret@db/x'])(
    'is refused without its password in the message: %s',
    (rest) => {
      const message = refuse(rest);
      expect(message).toMatch(/%25/);
      expect(message).not.toMatch(/s3|cret/);
    },
  );
});

describe('TLS', () => {
  const NO_TLS = { mode: 'disable', direct: false };

  it('is off without sslmode', () => {
    expect(parse('db/x').tls).toMatchObject(NO_TLS);
    expect(parse('db/x?sslmode=disable').tls).toMatchObject(NO_TLS);
  });

  it('has the mode and the files of the URL, or those of libpq’s environment', () => {
    const files = 'sslrootcert=/ca&sslcert=/cert&sslkey=/key&sslpassword=pw&sslnegotiation=direct';
    expect(parse(`db/x?sslmode=verify-full&${files}`).tls).toEqual({
      ...{ mode: 'verify-full', rootCertificate: '/ca', certificate: '/cert' },
      ...{ key: '/key', keyPassphrase: 'pw', direct: true },
    });
    const env = { PGSSLMODE: 'verify-ca', PGSSLROOTCERT: '/ca', PGSSLCERT: '/cert', PGSSLKEY: '/key' };
    expect(parse('db/x', env).tls).toMatchObject({ mode: 'verify-ca', rootCertificate: '/ca', key: '/key' });
    expect(parse('db/x?sslmode=disable', env).tls).toMatchObject({ mode: 'disable' });
  });

  it.each([
    ['a mode that falls back to no TLS', 'sslmode=prefer', /sslmode=prefer; it must be one of/],
    ['a mode that falls back to TLS', 'sslmode=allow', /it must be one of/],
    ['a mode that libpq does not have', 'sslmode=no-verify', /it must be one of/],
    ['files without a mode', 'sslrootcert=/ca', /without an sslmode/],
    ['verify-ca without a root', 'sslmode=verify-ca', /without sslrootcert/],
    ['public authorities without the name', 'sslmode=require&sslrootcert=system', /needs sslmode=verify-full/],
    ['a certificate without its key', 'sslmode=require&sslcert=/cert', /both sslcert and sslkey/],
    ['a negotiation that is unknown', 'sslmode=require&sslnegotiation=x', /sslnegotiation=x/],
  ])('refuses %s', (_, query, message) => {
    expect(refuse(`db/x?${query}`)).toMatch(message);
  });
});

describe('a parameter', () => {
  it.each(['sslmod=verify-full', 'connect_timeout=3', 'channel_binding=require', 'schema=x', 'SSLMODE=verify-full'])(
    'without an effect is a mistake: %s',
    (query) => {
      expect(refuse(`db/x?${query}`)).toMatch(new RegExp(`^has the parameter "${query.split('=')[0]!}"; `));
    },
  );

  it.each(['any', 'read-write', 'primary'])('may ask for sessions that write: %s', (attributes) => {
    expect(listServers(`a,b/x?target_session_attrs=${attributes}`)).toHaveLength(2);
  });

  it.each(['read-only', 'standby', 'prefer-standby', 'x'])('may not ask for other sessions: %s', (attributes) => {
    expect(refuse(`a,b/x?target_session_attrs=${attributes}`)).toMatch(/the service writes/);
  });
});

describe('another text', () => {
  it.each(['', 'mysql://db/x', 'postgresql:', 'postgresql:/db', 'db:5432', 'host=db dbname=x'])(
    'is no URL of a database: %j',
    (text) => {
      expect(() => parseDatabaseUrl(text, {})).toThrow(/must be a URL of the form/);
    },
  );
});
