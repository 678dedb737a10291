/**
 * The floor is the cost of an authentication that any service on this stack pays before it decides anything: the same
 * listener (Node, Fastify, mutual TLS 1.3), two requests, the three statements of the hot path, of which one writes with an audit
 * row, and one ES256 verification with an imported key. It has no Nest, no validation, no seal, no checks and no log.
 *
 * Arguments: the directory of the PKI, the number of users. The first line of its output is its URL.
 */
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Fastify from 'fastify';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { type AuditRow, createAuditRow } from '../../src/audit/audit-event.repository.js';
import { ACCEPT_AUTHENTICATION } from '../../src/credentials/answer.repository.js';
import { LOAD, readCredential } from '../../src/credentials/loaded-answer.repository.js';
import { READ_FOR_AUTHENTICATION } from '../../src/challenges/challenge.repository.js';
import { adaptPool } from '../../src/database/named-statement.js';
import { createTlsContext, createTlsOptions } from '../../src/identity/tls-options.js';

const [pki = '', count = ''] = process.argv.slice(2);
const RP_ID = 'localhost';
const CALLER = 'spiffe://passkey-manager.local/auth-service';
const MAC = Buffer.alloc(32, 1);

/** Makes the event of a sign-in, whose id `renew` replaces. */
function makeEvent(userId: string): AuditRow {
  const credential = { id: uuidv7(), credentialId: Buffer.alloc(32).toString('base64url') };
  const entry = { type: 'credential.verify', outcome: 'success', rpId: RP_ID, userId, credential } as const;
  return createAuditRow(entry, null, new Date());
}
const users = Array.from({ length: Number(count) }, (_, n) => ({
  id: `user-${String(n)}`,
  event: makeEvent(`user-${String(n)}`),
  credentialId: int4(n),
}));

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const data = Buffer.alloc(69, 1);
const signature = sign('sha256', data, privateKey);

pg.defaults.parseInt8 = true;
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 });
const through = adaptPool(pool);
/** Gives the event an id of its own. */
const renew = (event: AuditRow): AuditRow => ({ ...event, values: [uuidv7(), ...event.values.slice(1)] });

/** Inserts users 0 … count - 1. The id of a user's credential is the user's number. */
await pool.query(
  `INSERT INTO relying_party VALUES ('${RP_ID}', '', '{http://localhost:3000}', TRUE, '{"challengeTtlSeconds": 300}', 1, now(), now());
   INSERT INTO user_handle SELECT '${RP_ID}', 'user-' || n, int4send(n), now() FROM generate_series(0, ${count} - 1) n;
   SELECT spent_challenge_make_periods(now());
   INSERT INTO credential SELECT '${RP_ID}', lpad(n::text, 32, '0')::uuid, 'user-' || n, int4send(n), '\\x${randomBytes(77).toString('hex')}', -7,
     gen_random_uuid(), '', 'active', NULL, now(), 'platform', '{internal,hybrid}', TRUE, TRUE, TRUE, TRUE, 'none', 'none', 0, now(), '${CALLER}', NULL,
     '\\x${MAC.toString('hex')}' FROM generate_series(0, ${count} - 1) n;
   ANALYZE relying_party, user_handle, credential`,
);
let turn = 0;
const nextUser = (): (typeof users)[number] => users[(turn = (turn + 7_919) % users.length)]!;

const read = (name: string): Buffer => readFileSync(join(pki, name));
const files = { cert: read('server.crt'), key: read('server.key'), ca: read('ca.crt'), crl: read('ca.crl') };
const app = Fastify({ https: createTlsOptions(createTlsContext(files)) });

app.post('/v1/challenges/authentication', async () => {
  const { id: userId } = nextUser();
  const asked = { rpId: RP_ID, userId, standIn: '', now: new Date() };
  const [read] = await READ_FOR_AUTHENTICATION.run(through, [asked]);
  if (!read?.descriptors) throw new Error('the user has no passkey');
  return { challengeId: uuidv7(), publicKey: { challenge: randomBytes(32).toString('base64url') } };
});

app.post<{ Body: { challengeId: string } }>('/v1/credentials/verify', async ({ body: { challengeId } }) => {
  const user = nextUser();
  const challenge = { rpId: RP_ID, userId: user.id };
  const [loaded] = await LOAD.run(through, [{ challenge, credentialId: user.credentialId }]);
  const credential = loaded && readCredential(loaded);
  if (!credential) throw new Error('the user has no passkey');
  const verified = verify('sha256', data, publicKey, signature);
  const [accepted] = await ACCEPT_AUTHENTICATION.run(through, [
    {
      challengeId,
      credential,
      signCount: 0,
      backedUp: true,
      backupEligible: true,
      version: credential.version,
      bindingMac: MAC,
      lastSignInAt: null,
      userHandle: null,
      now: new Date(),
      flag: false,
      event: renew(user.event),
    },
  ]);
  if (accepted?.sign_count !== 0) throw new Error('no authentication was accepted');
  return { verified };
});

/** Encodes like PostgreSQL's int4send. */
function int4(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
process.on('SIGTERM', () => process.exit(0));
