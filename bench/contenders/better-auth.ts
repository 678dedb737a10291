import { join } from 'node:path';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { startServer } from '../measure/server-process.js';
import { type Contender, type Driver, ORIGIN } from './contender.js';

const PATH = '/api/auth/passkey';
const FROM_PAGE = `origin: ${ORIGIN}\r\n`;

/**
 * Better Auth with its passkey plugin: plain HTTP, challenges in PostgreSQL. It also creates the session. It does not ask who
 * signs in, so both kinds of authentication are discoverable.
 */
export const betterAuth: Contender = {
  title: 'Better Auth',
  scenarios: ['authentication', 'discoverable', 'registration', 'mix'],
  driver: driver(),
  async start({ directory, databaseUrl, nodeOptions }) {
    const program = join(import.meta.dirname, '../servers/better-auth.mjs');
    const env = { DATABASE_URL: databaseUrl, ORIGIN };
    const server = await startServer([...nodeOptions, program], env, join(directory, 'better-auth.log'));
    return { server, target: { url: server.url } };
  },
};

function driver(): Driver {
  return {
    async register(connection, user) {
      const path = `${PATH}/generate-register-options?context=${user.id}`;
      const { body, cookies } = await connection.call<PublicKeyCredentialCreationOptionsJSON>(
        'GET',
        path,
        undefined,
        FROM_PAGE,
      );
      const response = user.authenticator.create(body, ORIGIN, { key: user.key });
      const headers = `${FROM_PAGE}cookie: ${cookies}\r\n`;
      const answer = await connection.call<{ id: string }>(
        'POST',
        `${PATH}/verify-registration`,
        { response },
        headers,
      );
      user.credential = answer.body.id;
    },

    async authenticate(connection, user) {
      const path = `${PATH}/generate-authenticate-options`;
      const { body, cookies } = await connection.call<PublicKeyCredentialRequestOptionsJSON>(
        'GET',
        path,
        undefined,
        FROM_PAGE,
      );
      const response = user.authenticator.get(body, ORIGIN);
      const headers = `${FROM_PAGE}cookie: ${cookies}\r\n`;
      await connection.call('POST', `${PATH}/verify-authentication`, { response }, headers);
    },
  };
}
