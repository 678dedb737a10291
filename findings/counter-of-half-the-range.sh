#!/usr/bin/env bash
# A passkey whose counter is above 2,147,483,647 cannot be registered, and stops signing in
#
# One would expect any signature counter to do: it is an unsigned number of 32 bits (WebAuthn L3 §6.1), and an authenticator may begin
#   it anywhere. The documentation of the library that the plugin is built on advises a BIGINT, since some count by the clock.
# Instead, the plugin's migration makes the column an INTEGER of PostgreSQL, which ends at half the range. A registration above it is
#   answered 500, and a sign-in above it 400 "Authentication failed", although the answer verifies.
# Seen with: better-auth 1.7.25, @better-auth/passkey 1.7.6, on PostgreSQL (PGlite 0.5.14).
# Why it matters: such a user is locked out from one sign-in to the next, and the message says that the passkey is wrong.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
# Without --legacy-peer-deps npm refuses: see plugin-that-installs-beside-nothing.sh
npm install --silent --no-audit --no-fund --save-exact --legacy-peer-deps \
  better-auth@1.7.25 @better-auth/passkey@1.7.6 @electric-sql/pglite@0.5.14 @electric-sql/pglite-socket@0.2.17 \
  pg@8.23.1 > /dev/null

cat > finding.mjs <<'JS'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { passkey } from '@better-auth/passkey';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import pg from 'pg';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('better-auth')}, ${version('@better-auth/passkey')}`);

const origin = 'https://example.com';
const database = await PGlite.create();
const socket = `${process.cwd()}/.s.PGSQL.5432`;
const server = new PGLiteSocketServer({ db: database, path: socket });
await server.start();
const pool = new pg.Pool({ host: process.cwd(), user: 'postgres', database: 'postgres', max: 1 });
const options = {
  database: pool,
  baseURL: origin,
  secret: randomBytes(32).toString('hex'),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [passkey({ rpID: 'example.com', origin })],
};
await (await getMigrations(options)).runMigrations();
const auth = betterAuth(options);

/** Calls the server as a browser does, and keeps its cookies. */
const cookies = new Map();
async function call(method, path, body) {
  const headers = { origin, 'content-type': 'application/json', cookie: [...cookies.values()].join('; ') };
  const answer = await auth.handler(new Request(`${origin}/api/auth${path}`, { method, headers, body: body && JSON.stringify(body) }));
  for (const cookie of answer.headers.getSetCookie()) cookies.set(cookie.split('=')[0], cookie.split(';')[0]);
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
  return answer.json();
}

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const sha256 = (data) => createHash('sha256').update(data).digest();
const clientData = (type, challenge) => Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false }));
const bytes = (data) => Buffer.concat([Buffer.from([0x58, data.length]), data]);

/** An authenticator in software: ES256, a resident key, no attestation, a counter. */
class Authenticator {
  id = randomBytes(32);
  pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  constructor(count) {
    this.count = count;
  }

  data(flags, attested = Buffer.alloc(0)) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE((this.count += 1));
    return Buffer.concat([sha256('example.com'), Buffer.from([flags]), count, attested]);
  }

  create({ challenge }) {
    const { x, y } = this.pair.publicKey.export({ format: 'jwk' });
    const [cx, cy] = [x, y].map((text) => bytes(Buffer.from(text, 'base64url')));
    const key = Buffer.concat([Buffer.from('a5010203262001', 'hex'), Buffer.from([0x21]), cx, Buffer.from([0x22]), cy]);
    const data = this.data(0x45, Buffer.concat([Buffer.alloc(16), Buffer.from([0, 32]), this.id, key]));
    const object = Buffer.concat([
      Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'),
      Buffer.from([data.length]),
      data,
    ]);
    const client = clientData('webauthn.create', challenge);
    return this.answer({ clientDataJSON: base64url(client), attestationObject: base64url(object), transports: ['internal'] });
  }

  get({ challenge }) {
    const [data, client] = [this.data(0x05), clientData('webauthn.get', challenge)];
    const signature = sign('sha256', Buffer.concat([data, sha256(client)]), this.pair.privateKey);
    const [authenticatorData, clientDataJSON] = [data, client].map(base64url);
    return this.answer({ authenticatorData, clientDataJSON, signature: base64url(signature) });
  }

  answer(response) {
    const id = base64url(this.id);
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
  }
}

await call('POST', '/sign-up/email', { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada' });
const { rows } = await pool.query("SELECT data_type FROM information_schema.columns WHERE table_name = 'passkey' AND column_name = 'counter'");
tell('the type of the column', rows[0].data_type, 'integer');

/** The outcome of a call: "done" or the status and the message. */
const outcome = (made) => made.then(() => 'done', ({ message }) => message.replace(/\{.*"message":"([^"]*)".*/, '$1'));

async function register(authenticator) {
  const creation = await call('GET', '/passkey/generate-register-options');
  return outcome(call('POST', '/passkey/verify-registration', { response: authenticator.create(creation) }));
}

async function signIn(authenticator) {
  const request = await call('GET', '/passkey/generate-authenticate-options');
  return outcome(call('POST', '/passkey/verify-authentication', { response: authenticator.get(request) }));
}

const old = new Authenticator(2 ** 31 - 3);
tell('a registration with the counter 2,147,483,646', await register(old), 'done');
tell('a sign-in with the counter 2,147,483,647', await signIn(old), 'done');
tell('a sign-in with the counter 2,147,483,648', await signIn(old), '400 Authentication failed');
tell('a registration with the counter 2,147,483,648', await register(new Authenticator(2 ** 31 - 1)), '500 Failed to verify registration');

await pool.end();
await server.stop();
process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
