#!/usr/bin/env bash
# The backup state of a passkey stays that of its registration
#
# One would expect `backedUp` of a passkey to follow the authenticator: WebAuthn L3 §7.2 step 26 updates the backup state of the record
#   at each sign-in, because a passkey is backed up after it was made.
# Instead, a sign-in updates the signature counter alone. The plugin's list of passkeys says for ever what was true in the second
#   in which the passkey was made.
# Seen with: better-auth 1.7.25, @better-auth/passkey 1.7.6.
# Why it matters: the state tells if a user who loses the device loses the passkey. Whoever moves these passkeys moves a state that may be
#   years old, and a page that asks such users for a second passkey asks the wrong ones.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
# Without --legacy-peer-deps npm refuses: see plugin-that-installs-beside-nothing.sh
npm install --silent --no-audit --no-fund --save-exact --legacy-peer-deps \
  better-auth@1.7.25 @better-auth/passkey@1.7.6 > /dev/null

cat > finding.mjs <<'JS'
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { passkey } from '@better-auth/passkey';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('better-auth')}, ${version('@better-auth/passkey')}`);

const origin = 'https://example.com';
const tables = { user: [], session: [], account: [], verification: [], passkey: [] };
const auth = betterAuth({
  database: memoryAdapter(tables),
  baseURL: origin,
  secret: randomBytes(32).toString('hex'),
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [passkey({ rpID: 'example.com', origin })],
});

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
  count = 0;

  data(flags, attested = Buffer.alloc(0)) {
    return Buffer.concat([sha256('example.com'), Buffer.from([flags, 0, 0, 0, ++this.count]), attested]);
  }

  create({ challenge }, flags) {
    const { x, y } = this.pair.publicKey.export({ format: 'jwk' });
    const [cx, cy] = [x, y].map((text) => bytes(Buffer.from(text, 'base64url')));
    const key = Buffer.concat([Buffer.from('a5010203262001', 'hex'), Buffer.from([0x21]), cx, Buffer.from([0x22]), cy]);
    const data = this.data(0x45 | flags, Buffer.concat([Buffer.alloc(16), Buffer.from([0, 32]), this.id, key]));
    const object = Buffer.concat([
      Buffer.from('a363666d74646e6f6e656761747453746d74a068617574684461746158', 'hex'),
      Buffer.from([data.length]),
      data,
    ]);
    const client = clientData('webauthn.create', challenge);
    return this.answer({ clientDataJSON: base64url(client), attestationObject: base64url(object), transports: ['internal'] });
  }

  get({ challenge }, flags) {
    const [data, client] = [this.data(0x05 | flags), clientData('webauthn.get', challenge)];
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
const authenticator = new Authenticator();
const [ELIGIBLE, BACKED_UP] = [0x08, 0x10];
const creation = await call('GET', '/passkey/generate-register-options');
await call('POST', '/passkey/verify-registration', { response: authenticator.create(creation, ELIGIBLE) });

async function list() {
  const [{ deviceType, backedUp, counter }] = await call('GET', '/passkey/list-user-passkeys');
  return `${deviceType}, ${backedUp ? 'backed up' : 'not backed up'}, counter ${counter}`;
}
tell('after the registration', await list(), 'multiDevice, not backed up, counter 1');

const request = await call('GET', '/passkey/generate-authenticate-options');
const response = authenticator.get(request, ELIGIBLE | BACKED_UP);
const { user } = await call('POST', '/passkey/verify-authentication', { response });
tell('signs in, with the flag BS', user.email, 'ada@example.com');
tell('after the sign-in', await list(), 'multiDevice, not backed up, counter 2');

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
