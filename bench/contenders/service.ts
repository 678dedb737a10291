import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Challenge, Credential, Page } from '../../test/support/bodies.js';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server';
import { SCENARIOS } from '../load/scenarios.js';
import { startServer } from '../measure/server-process.js';
import { type Contender, type Driver, ORIGIN, RP_ID, type Running, type Site } from './contender.js';

/** This service: the production build in one process, with mutual TLS, audit and request log as in production. */
export const service: Contender = {
  title: 'Passkey Manager',
  scenarios: SCENARIOS,
  driver: driver(),
  start: (site) => start(site),
};

/** The service of another checkout: a comparison with it shows what a change does. */
export const before: Contender = { ...service, title: 'Passkey Manager before' };

/** This service with a process for each core. */
export const workers: Contender = {
  title: 'Passkey Manager, a worker for each core',
  scenarios: SCENARIOS,
  driver: driver(),
  start: (site) => start(site, 'auto'),
};

/** This service, which signs a receipt of each sign-in: the difference is what a receipt costs. */
export const receipted: Contender = {
  title: 'Passkey Manager with receipts',
  scenarios: ['authentication'],
  driver: driver({ receipt: { audience: 'https://shop.example' } }),
  start: (site) => start(site, '1', { PASSKEY_RECEIPT_KEY_FILE: join(site.directory, 'receipt.key') }),
};

/** This service, which also tells receivers of changes. */
export const mover: Contender = {
  title: 'Passkey Manager with signals',
  scenarios: ['authentication'],
  driver: driver(),
  start: (site) =>
    start(site, '1', {
      PASSKEY_SIGNAL_KEY_FILE: join(site.directory, 'signal.key'),
      PASSKEY_SIGNAL_ISSUER: 'https://passkeys.example.com',
    }),
};

/** This service without audit events (servers/without-audit.mjs): the difference is their cost. */
export const unaudited: Contender = {
  title: 'Passkey Manager without audit events',
  scenarios: ['authentication'],
  driver: driver(),
  start: (site) => {
    const hook = ['--import', join(import.meta.dirname, '../servers/without-audit.mjs')];
    return start({ ...site, nodeOptions: [...site.nodeOptions, ...hook] });
  },
};

async function start(
  { directory, databaseUrl, checkout, nodeOptions }: Site,
  workers = '1',
  settings: NodeJS.ProcessEnv = {},
): Promise<Running> {
  checkout.prepare(directory);
  checkout.migrate(databaseUrl);
  const file = (name: string): string => join(directory, name);
  writeFileSync(file('relying-parties.yaml'), JSON.stringify([{ rpId: RP_ID, name: 'Benchmark', origins: [ORIGIN] }]));
  const env = {
    DATABASE_URL: databaseUrl,
    PASSKEY_ALLOW_DEVELOPMENT: 'true',
    PASSKEY_WORKERS: workers,
    PASSKEY_HTTPS_PORT: '0',
    PASSKEY_MANAGEMENT_PORT: '0',
    PASSKEY_TLS_CERT_FILE: file('pki/server.crt'),
    PASSKEY_TLS_KEY_FILE: file('pki/server.key'),
    PASSKEY_TLS_CA_FILE: file('pki/ca.crt'),
    PASSKEY_TLS_CRL_FILE: file('pki/ca.crl'),
    PASSKEY_ACCESS_POLICY_FILE: file('access-policy.yaml'),
    PASSKEY_RELYING_PARTIES_FILE: file('relying-parties.yaml'),
    PASSKEY_AUDIT_KEY_FILE: file('audit.key'),
    PASSKEY_BINDING_KEY_FILE: file('binding.key'),
    ...settings,
  };
  const server = await startServer([...nodeOptions, checkout.service], env, file('service.log'));
  return { server, target: { url: server.url, pki: file('pki') } };
}

/** @param asked members of each answer to an authentication */
function driver(asked: object = {}): Driver {
  return {
    async register(connection, user) {
      const { body: challenge } = await connection.call<Challenge<PublicKeyCredentialCreationOptionsJSON>>(
        'POST',
        '/v1/challenges/registration',
        {
          rpId: RP_ID,
          user: { id: user.id, name: `${user.id}@example.com`, displayName: user.id },
          identityProof: { method: 'password+otp', verifiedAt: new Date().toISOString(), reference: 'session-8c1f' },
        },
      );
      const response = user.authenticator.create(challenge.publicKey, ORIGIN, { key: user.key });
      const answer = { challengeId: challenge.challengeId, response };
      user.credential = (await connection.call<Credential>('POST', '/v1/credentials', answer)).body.id;
    },

    async authenticate(connection, user, named) {
      const { body: challenge } = await connection.call<Challenge<PublicKeyCredentialRequestOptionsJSON>>(
        'POST',
        '/v1/challenges/authentication',
        named ? { rpId: RP_ID, userId: user.id } : { rpId: RP_ID },
      );
      const response = user.authenticator.get(challenge.publicKey, ORIGIN);
      const answer = { challengeId: challenge.challengeId, response, ...asked };
      await connection.call('POST', '/v1/credentials/verify', answer);
    },

    async list(connection, user) {
      const path = `/v1/credentials?rpId=${RP_ID}&userId=${user.id}`;
      const { body } = await connection.call<Page<Credential>>('GET', path);
      if (body.data.length !== 1) throw new Error(`${path}: ${String(body.data.length)} credentials`);
    },

    async get(connection, user) {
      await connection.call<Credential>('GET', `/v1/credentials/${String(user.credential)}`);
    },
  };
}
