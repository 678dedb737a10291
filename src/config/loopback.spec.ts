import { describe, expect, it } from '@jest/globals';
import { ConfigError, readConfig } from './config.js';

function findMistakes(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

describe('development listens only on this machine', () => {
  const database = (rest: string) => `postgresql://service${rest}`;

  it.each<[string, NodeJS.ProcessEnv]>([
    ['an address of IPv4', { PASSKEY_HTTPS_HOST: '127.0.0.2', PASSKEY_MANAGEMENT_HOST: '127.1.2.3' }],
    ['an address of IPv6', { PASSKEY_HTTPS_HOST: '::1', PASSKEY_MANAGEMENT_HOST: '::1' }],
    ['a name', { PASSKEY_HTTPS_HOST: 'localhost', PASSKEY_MANAGEMENT_HOST: 'passkeys.localhost' }],
    ['a database by address', { DATABASE_URL: database('@127.0.0.1:5432/passkeys') }],
    ['a database by IPv6', { DATABASE_URL: database('@[::1]:5432/passkeys') }],
    ['a database by name', { DATABASE_URL: database('@localhost/passkeys') }],
    ['a database by a socket', { DATABASE_URL: 'postgresql:///passkeys?host=/var/run/postgresql&user=service' }],
    [
      'a database by a socket in the place of a host',
      { DATABASE_URL: database('@%2Fvar%2Frun%2Fpostgresql/passkeys') },
    ],
    ['a database without a host', { DATABASE_URL: 'postgresql:///passkeys' }],
  ])('at %s', (_, env) => {
    expect(findMistakes(env)).toEqual([]);
  });

  it.each<[string, NodeJS.ProcessEnv]>([
    ['PASSKEY_HTTPS_HOST', { PASSKEY_HTTPS_HOST: '0.0.0.0' }],
    ['PASSKEY_HTTPS_HOST', { PASSKEY_HTTPS_HOST: '::' }],
    ['PASSKEY_HTTPS_HOST', { PASSKEY_HTTPS_HOST: '127.0.0.1.example' }],
    ['PASSKEY_HTTPS_HOST', { PASSKEY_HTTPS_HOST: 'localhost.example' }],
    ['PASSKEY_MANAGEMENT_HOST', { PASSKEY_MANAGEMENT_HOST: '10.0.0.7' }],
    ['DATABASE_URL', { DATABASE_URL: database('@db.internal/passkeys') }],
    ['DATABASE_URL', { DATABASE_URL: database('@localhost/passkeys?host=db.internal') }],
    ['DATABASE_URL', { DATABASE_URL: 'postgresql:///passkeys', PGHOST: 'db.internal' }],
    ['DATABASE_URL', { DATABASE_URL: database('@localhost,db.internal/passkeys') }],
  ])('and refuses %s unless that is allowed: %j', (name, env) => {
    for (const NODE_ENV of ['development', 'test']) {
      expect(findMistakes({ ...env, NODE_ENV })).toEqual([
        expect.stringMatching(new RegExp(`^${name} leaves this machine .* PASSKEY_ALLOW_DEVELOPMENT=true$`)),
      ]);
    }
    expect(findMistakes({ ...env, PASSKEY_ALLOW_DEVELOPMENT: 'true' })).toEqual([]);
    expect(findMistakes({ ...env, NODE_ENV: 'production' })).not.toContainEqual(
      expect.stringContaining('leaves this machine'),
    );
  });

  it.each(['yes', '1', 'TRUE'])('and refuses "%s" as the permission', (value) => {
    expect(findMistakes({ PASSKEY_ALLOW_DEVELOPMENT: value })).toEqual([
      `PASSKEY_ALLOW_DEVELOPMENT is "${value}"; it must be one of true, false`,
    ]);
  });
});
