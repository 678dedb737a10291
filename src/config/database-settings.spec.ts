import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type DatabaseSettings, readDatabaseSettings } from './database-settings.js';
import { Settings } from './settings.js';

let directory: string;
let file: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  file = write('password', 'secret');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function write(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content);
  return path;
}

type Read = DatabaseSettings & { readonly mistakes: readonly string[] };

function read(env: NodeJS.ProcessEnv, rules = { production: false, allowDevelopment: false }): Read {
  const settings = new Settings(env);
  return { ...readDatabaseSettings(settings, rules), mistakes: settings.mistakes };
}
const findMistakes = (env: NodeJS.ProcessEnv): readonly string[] => read(env).mistakes;

/** Both logins: that of the service and that of the log's writer. */
const LOGINS = [
  ['DATABASE_URL', 'DATABASE_URL_FILE', 'PASSKEY_DATABASE_PASSWORD_FILE'],
  ['PASSKEY_AUDIT_DATABASE_URL', 'PASSKEY_AUDIT_DATABASE_URL_FILE', 'PASSKEY_AUDIT_DATABASE_PASSWORD_FILE'],
] as const;

describe.each(LOGINS)('%s', (url, urlFile, passwordFile) => {
  const getUrl = ({ databaseUrl, auditDatabaseUrl }: Read): string | undefined =>
    url === 'DATABASE_URL' ? databaseUrl : auditDatabaseUrl;

  it.each(['postgres://localhost/passkeys', 'postgresql://user:secret@localhost:5432/passkeys?sslmode=verify-full'])(
    'accepts %s, also from a file',
    (text) => {
      expect([findMistakes({ [url]: text }), getUrl(read({ [url]: text }))]).toEqual([[], text]);
      for (const end of ['', '\n', '\r\n']) {
        const env = { [urlFile]: write('url', `${text}${end}`) };
        expect([findMistakes(env), getUrl(read(env))]).toEqual([[], text]);
      }
    },
  );

  it.each(['mysql://user:s3cret@localhost/passkeys', 'localhost:5432', 'http://db', 'passkeys', '/var/run/postgresql'])(
    'refuses "%s" without quoting it, because it contains a password',
    (text) => {
      for (const env of [{ [url]: text }, { [urlFile]: write('url', text) }]) {
        expect(findMistakes(env)).toEqual([
          `${url} must be a URL of the form postgresql://user:password@host:port/database`,
        ]);
      }
    },
  );

  it('cannot be set beside the file that has it', () => {
    const text = 'postgresql://user:s3cret@localhost/x';
    expect(findMistakes({ [url]: text, [urlFile]: write('url', text) })).toEqual([
      `${url} and ${urlFile} are both set: remove one of them`,
    ]);
  });

  it.each(['/nowhere', tmpdir()])('cannot come from %s', (path) => {
    expect(findMistakes({ [urlFile]: path })).toEqual([expect.stringMatching(new RegExp(`^${urlFile} names "`))]);
  });

  it('cannot come from a file that is too large', () => {
    expect(findMistakes({ [urlFile]: write('url', 'x'.repeat(16_385)) })).toEqual([
      `${urlFile} names a file of more than 16 KiB`,
    ]);
  });

  it('may leave its password to a file', () => {
    const env = { [url]: 'postgresql://user@localhost/passkeys', [passwordFile]: file };
    const { databasePasswordFile, auditDatabasePasswordFile, mistakes } = read(env);
    expect([mistakes, databasePasswordFile ?? auditDatabasePasswordFile]).toEqual([[], file]);
  });

  it.each([
    ['that cannot be read', { [url]: 'postgresql://user@localhost/x', [passwordFile]: '/nowhere' }],
    ['beside the one in its URL', { [url]: 'postgresql://user:pw@localhost/x', [passwordFile]: 'FILE' }],
    ['beside a password parameter', { [url]: 'postgresql://user@localhost/x?password=pw', [passwordFile]: 'FILE' }],
    ['without a URL', { [passwordFile]: 'FILE' }],
  ])('refuses a password file %s', (_, env: NodeJS.ProcessEnv) => {
    const settings = Object.fromEntries(
      Object.entries(env).map(([name, value]) => [name, value === 'FILE' ? file : value]),
    );
    expect(findMistakes(settings)).toEqual([expect.stringContaining(passwordFile)]);
  });
});

describe('in production (PCI DSS 4.2.1)', () => {
  const production = { production: true, allowDevelopment: false };
  const inProduction = (env: NodeJS.ProcessEnv): readonly string[] => read(env, production).mistakes;

  it.each([
    ['on another machine that proves itself', 'postgresql://me@db/x?sslmode=verify-full&sslrootcert=/ca.crt'],
    ['on this machine', 'postgresql://me@127.0.0.1/x'],
    ['on this machine by IPv6', 'postgresql://me@[::1]/x'],
    ['by a Unix socket', 'postgresql:///x?host=/var/run/postgresql'],
    ['on several machines that prove themselves', 'postgresql://me@a,b/x?sslmode=verify-full'],
  ])('a database %s is used', (_, url) => {
    expect(inProduction({ DATABASE_URL: url, PASSKEY_AUDIT_DATABASE_URL: url })).toEqual([]);
  });

  it.each([
    ['without TLS', 'postgresql://me@db/x', {}],
    ['with TLS switched off', 'postgresql://me@db/x?sslmode=disable', {}],
    ['with a certificate that nobody verifies', 'postgresql://me@db/x?sslmode=require', {}],
    ['with a certificate whose name nobody verifies', 'postgresql://me@db/x?sslmode=verify-ca&sslrootcert=/ca', {}],
    ['as one of several', 'postgresql://me@localhost,db/x', {}],
    ['that the environment names', 'postgresql:///x', { PGHOST: 'db' }],
    ['that a parameter names', 'postgresql://localhost/x?host=db', {}],
  ])('a database on another machine is refused %s, unless that is allowed', (_, url, env) => {
    const refusal = (name: string): RegExp =>
      new RegExp(`^${name} leads to another machine \\("db"\\) .* PASSKEY_ALLOW_UNVERIFIED_DATABASE=true$`);
    expect(inProduction({ ...env, DATABASE_URL: url, PASSKEY_AUDIT_DATABASE_URL: url })).toEqual([
      expect.stringMatching(refusal('DATABASE_URL')),
      expect.stringMatching(refusal('PASSKEY_AUDIT_DATABASE_URL')),
    ]);
    expect(inProduction({ ...env, DATABASE_URL: url, PASSKEY_ALLOW_UNVERIFIED_DATABASE: 'true' })).toEqual([]);
  });

  it('the permission to use generated files does not allow it', () => {
    const rules = { production: true, allowDevelopment: true };
    expect(read({ DATABASE_URL: 'postgresql://me@db/x' }, rules).mistakes).toHaveLength(1);
  });

  it('the mode may come from the environment, as in libpq', () => {
    expect(inProduction({ DATABASE_URL: 'postgresql://me@db/x', PGSSLMODE: 'verify-full' })).toEqual([]);
  });
});
