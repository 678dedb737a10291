/** Runs a passkey server as tutorials write it. The first line of output is the URL. */
import { Buffer } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import express from 'express';
import pg from 'pg';

const rpID = 'localhost';
const expected = { expectedOrigin: 'http://localhost:3000', expectedRPID: rpID };

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 });
await pool.query(`
  CREATE TABLE credentials (
    id text PRIMARY KEY, user_id text NOT NULL, public_key bytea NOT NULL, counter bigint NOT NULL,
    transports text[], device_type text NOT NULL, backed_up boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), last_used_at timestamptz);
  CREATE INDEX ON credentials (user_id);
`);
const listCredentials = async (userId) =>
  (await pool.query('SELECT id, transports, created_at FROM credentials WHERE user_id = $1', [userId])).rows;
const findCredential = async (id) => (await pool.query('SELECT * FROM credentials WHERE id = $1', [id])).rows[0];

const challenges = new Map();
const beginCeremony = (options, userId) => {
  const ceremony = randomUUID();
  challenges.set(ceremony, { challenge: options.challenge, userId });
  return { ceremony, options };
};
const takeChallenge = (ceremony) => {
  const begun = challenges.get(ceremony);
  challenges.delete(ceremony);
  return begun;
};

const app = express();
app.use(express.json());

app.post('/register/options', async ({ body: { userId } }, response) => {
  const options = await generateRegistrationOptions({
    rpName: 'Tutorial',
    rpID,
    userName: userId,
    attestationType: 'none',
    excludeCredentials: await listCredentials(userId),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  });
  response.json(beginCeremony(options, userId));
});

app.post('/register/verify', async ({ body }, response) => {
  const begun = takeChallenge(body.ceremony);
  if (!begun) return response.status(400).json({ error: 'no challenge' });
  const { verified, registrationInfo: made } = await verifyRegistrationResponse({
    response: body.response,
    expectedChallenge: begun.challenge,
    ...expected,
  });
  if (!verified) return response.status(400).json({ error: 'not verified' });
  const { id, publicKey, counter, transports } = made.credential;
  await pool.query(
    `INSERT INTO credentials (id, user_id, public_key, counter, transports, device_type, backed_up) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [id, begun.userId, Buffer.from(publicKey), counter, transports, made.credentialDeviceType, made.credentialBackedUp],
  );
  response.json({ verified, id });
});

app.post('/login/options', async ({ body: { userId } }, response) => {
  const options = await generateAuthenticationOptions({
    rpID,
    userVerification: 'required',
    ...(userId ? { allowCredentials: await listCredentials(userId) } : {}),
  });
  response.json(beginCeremony(options, userId));
});

app.post('/login/verify', async ({ body }, response) => {
  const begun = takeChallenge(body.ceremony);
  const known = await findCredential(body.response.id);
  if (!begun || !known || (begun.userId && begun.userId !== known.user_id))
    return response.status(400).json({ error: 'no such challenge or credential' });
  const { id, public_key: publicKey, counter, transports } = known;
  const { verified, authenticationInfo } = await verifyAuthenticationResponse({
    response: body.response,
    expectedChallenge: begun.challenge,
    ...expected,
    credential: { id, publicKey, counter: Number(counter), transports },
  });
  if (!verified) return response.status(400).json({ error: 'not verified' });
  await pool.query('UPDATE credentials SET counter = $1, last_used_at = now() WHERE id = $2', [
    authenticationInfo.newCounter,
    id,
  ]);
  response.json({ verified, userId: known.user_id });
});

app.get('/users/:id/credentials', async ({ params }, response) => response.json(await listCredentials(params.id)));
app.get('/credentials/:id', async ({ params }, response) => {
  const { id, user_id: userId, transports, created_at: createdAt } = await findCredential(params.id);
  response.json({ id, userId, transports, createdAt });
});

const server = app.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
