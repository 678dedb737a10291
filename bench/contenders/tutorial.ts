import { join } from 'node:path';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { SCENARIOS } from '../load/scenarios.js';
import { startServer } from '../measure/server-process.js';
import type { Contender, Driver } from './contender.js';
import { ORIGIN } from './contender.js';

interface Options<PublicKey> {
  readonly ceremony: string;
  readonly options: PublicKey;
}

/** Express, SimpleWebAuthn and pg as a tutorial puts them together: plain HTTP, challenges in memory, no audit. */
export const tutorial: Contender = {
  title: 'Express + SimpleWebAuthn',
  scenarios: SCENARIOS,
  driver: driver(),
  async start({ directory, databaseUrl, nodeOptions }) {
    const program = join(import.meta.dirname, '../servers/tutorial.mjs');
    const env = { DATABASE_URL: databaseUrl };
    const server = await startServer([...nodeOptions, program], env, join(directory, 'tutorial.log'));
    return { server, target: { url: server.url } };
  },
};

function driver(): Driver {
  return {
    async register(connection, user) {
      const { body } = await connection.call<Options<PublicKeyCredentialCreationOptionsJSON>>(
        'POST',
        '/register/options',
        { userId: user.id },
      );
      const response = user.authenticator.create(body.options, ORIGIN, { key: user.key });
      const answer = { ceremony: body.ceremony, response };
      user.credential = (await connection.call<{ id: string }>('POST', '/register/verify', answer)).body.id;
    },

    async authenticate(connection, user, named) {
      const { body } = await connection.call<Options<PublicKeyCredentialRequestOptionsJSON>>(
        'POST',
        '/login/options',
        named ? { userId: user.id } : {},
      );
      const response = user.authenticator.get(body.options, ORIGIN);
      await connection.call('POST', '/login/verify', { ceremony: body.ceremony, response });
    },

    async list(connection, user) {
      await connection.call('GET', `/users/${user.id}/credentials`);
    },

    async get(connection, user) {
      await connection.call('GET', `/credentials/${String(user.credential)}`);
    },
  };
}
