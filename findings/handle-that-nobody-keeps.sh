#!/usr/bin/env bash
# A user gets another user handle for each passkey, and the server keeps none of them
#
# One would expect the handle (`user.id` of the options) to be one value for each user account, kept by the server: WebAuthn L3
#   §5.4.3 maps a user account to it, an authenticator keeps one passkey for each, and §7.2 step 6 needs it to find the account.
# Instead, the options for each registration have 32 new random letters and digits, and no table has them afterwards.
# Seen with: better-auth 1.7.25, @better-auth/passkey 1.7.6.
# Why it matters: whoever moves these passkeys to another server cannot move the handles, and must learn each at the next sign-in. A
#   password manager keeps several passkeys for one account, which look alike, where it would replace the old one; and a page cannot
#   tell it which ones are still accepted (Signal API), because that needs the handle.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
# Without --legacy-peer-deps npm refuses: see plugin-that-installs-beside-nothing.sh
npm install --silent --no-audit --no-fund --save-exact --legacy-peer-deps \
  better-auth@1.7.25 @better-auth/passkey@1.7.6 > /dev/null

cat > finding.mjs <<'JS'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
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

/** An authenticator in software: ES256, a resident key, no attestation. */
class Authenticator {
  id = randomBytes(32);
  pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });

  data(flags, attested = Buffer.alloc(0)) {
    return Buffer.concat([sha256('example.com'), Buffer.from([flags, 0, 0, 0, 0]), attested]);
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

  answer(response) {
    const id = base64url(this.id);
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
  }
}

await call('POST', '/sign-up/email', { email: 'ada@example.com', password: 'correct horse battery', name: 'Ada' });
const handles = [];
const authenticators = [new Authenticator(), new Authenticator()];
for (const authenticator of authenticators) {
  const options = await call('GET', '/passkey/generate-register-options');
  handles.push(options.user.id);
  await call('POST', '/passkey/verify-registration', { response: authenticator.create(options) });
}
tell('passkeys of the user', tables.passkey.length, 2);
tell('accounts that they are of', new Set(tables.passkey.map(({ userId }) => userId)).size, 1);
tell('user handles in the options', new Set(handles).size, 2);
const text = handles.map((handle) => Buffer.from(handle, 'base64url').toString('latin1'));
tell('a handle is 32 letters and digits', text.every((handle) => /^[a-z0-9]{32}$/.test(handle)), true);
const stored = JSON.stringify(tables);
tell('handles in the tables', [...handles, ...text].filter((handle) => stored.includes(handle)).length, 0);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
