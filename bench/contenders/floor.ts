import { join } from 'node:path';
import { startServer } from '../measure/server-process.js';
import { Authenticator } from '../../test/support/authenticator/authenticator.js';
import { type Contender, ORIGIN, RP_ID } from './contender.js';

/** An answer of the usual size; the floor does not look at it. */
const RESPONSE = someResponse();

/** The cost of an authentication on this stack before any decision: see servers/floor.ts. */
export const floor: Contender = {
  title: 'The floor',
  scenarios: ['authentication'],
  driver: {
    register: () => Promise.resolve(),
    async authenticate(connection, user) {
      const request = { rpId: RP_ID, userId: user.id };
      const { body } = await connection.call<{ challengeId: string }>('POST', '/v1/challenges/authentication', request);
      await connection.call('POST', '/v1/credentials/verify', { challengeId: body.challengeId, response: RESPONSE });
    },
  },
  async start({ directory, databaseUrl, users, checkout, nodeOptions }) {
    checkout.prepare(directory);
    checkout.migrate(databaseUrl);
    const hooks = ['--import', join(import.meta.dirname, '../resolution.mjs')];
    const program = [...hooks, join(import.meta.dirname, '../servers/floor.ts'), join(directory, 'pki'), String(users)];
    const env = { DATABASE_URL: databaseUrl };
    const server = await startServer([...nodeOptions, ...program], env, join(directory, 'floor.log'));
    return { server, target: { url: server.url, pki: join(directory, 'pki') } };
  },
};

function someResponse(): unknown {
  const authenticator = new Authenticator();
  const challenge = Buffer.alloc(32).toString('base64url');
  const user = { id: challenge, name: '', displayName: '' };
  authenticator.create({ rp: { id: RP_ID, name: '' }, user, challenge, pubKeyCredParams: [] }, ORIGIN);
  return authenticator.get({ rpId: RP_ID, challenge }, ORIGIN);
}
