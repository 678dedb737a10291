#!/usr/bin/env bash
# A text in an extension output comes back cut, from a registration that is verified
#
# One would expect authenticatorExtensionResults of a registration with `verified: true` to hold what the authenticator
#   has signed.
# Instead, the library decodes the outputs, encodes them again, and decodes the result. The encoder writes the
#   length of a text in UTF-16 units where CBOR counts bytes. "größe" comes back as "grö" and half a letter; where an
#   output follows, its name is read from the middle of the text, and the registration fails with "Map is not supported
#   or well formed". From 12 such letters on it fails with "Leftover bytes".
# Seen with: @simplewebauthn/server 14.0.3 with @levischuck/tiny-cbor 0.2.11.
# Why it matters: what a relying party keeps as signed by the authenticator was never signed, and nothing says so: no
#   error, and the signature over the whole holds.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @levischuck/tiny-cbor@0.2.11 @simplewebauthn/server@14.0.3 cborg@6.1.5 > /dev/null

cat > finding.mjs <<'JS'
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { verifyRegistrationResponse } from '@simplewebauthn/server';
import { encode } from 'cborg';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(
  `Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}, ${version('@levischuck/tiny-cbor')}`,
);

const sha256 = (data) => createHash('sha256').update(data).digest();
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const id = Buffer.alloc(16, 7);
/** WebAuthn L3 §6.1 */
function authenticatorData(key, { aaguid = Buffer.alloc(16), outputs } = {}) {
  const flags = 0x05 | (key ? 0x40 : 0) | (outputs ? 0x80 : 0);
  const attested = key ? [aaguid, Buffer.from([0, id.length]), id, encode(key)] : [];
  return Buffer.concat([
    sha256('example.com'),
    Buffer.from([flags, 0, 0, 0, 0]),
    ...attested,
    outputs ?? Buffer.alloc(0),
  ]);
}
/** A COSE_Key of the type EC2 */
function ec2(publicKey, alg = -7, crv = 1) {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return new Map([
    [1, 2],
    [3, alg],
    [-1, crv],
    [-2, Buffer.from(x, 'base64url')],
    [-3, Buffer.from(y, 'base64url')],
  ]);
}
const clientData = (type) =>
  Buffer.from(JSON.stringify({ type, challenge: 'AAAA', origin: 'https://example.com', crossOrigin: false }));
const envelope = (response) => ({
  id: base64url(id),
  rawId: base64url(id),
  type: 'public-key',
  clientExtensionResults: {},
  response,
});
const expected = { expectedChallenge: 'AAAA', expectedOrigin: 'https://example.com', expectedRPID: 'example.com' };
/** "verified", "not verified", or the texts of the error and its causes. */
async function outcome(verification) {
  try {
    return (await verification).verified ? 'verified' : 'not verified';
  } catch (error) {
    const texts = [];
    for (let cause = error; cause; cause = cause.cause) texts.push(cause.message);
    return texts.join(' <- ');
  }
}

async function register(fmt, data, statement) {
  const client = clientData('webauthn.create');
  const attStmt = await statement(Buffer.concat([data, sha256(client)]), sha256(client));
  return verifyRegistrationResponse({
    ...expected,
    response: envelope({
      clientDataJSON: base64url(client),
      attestationObject: base64url(encode({ fmt, attStmt, authData: data })),
    }),
    supportedAlgorithmIDs: [-7, -8, -9, -19, -35, -36, -39, -47, -51, -257],
  });
}

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
async function returned(outputs) {
  const data = authenticatorData(ec2(key.publicKey), { outputs: Buffer.from(encode(outputs)) });
  const verification = register('none', data, () => ({}));
  const verdict = await outcome(verification);
  if (verdict !== 'verified') return verdict;
  return `verified, ${JSON.stringify((await verification).registrationInfo.authenticatorExtensionResults)}`;
}
tell('{ "alt": "grosse" }', await returned({ alt: 'grosse' }), 'verified, {"alt":"grosse"}');
tell('{ "alt": "größe" }', await returned({ alt: 'größe' }), 'verified, {"alt":"grö�"}');
tell(
  '{ "a": "é", "bb": 1, "c": 2 }',
  await returned({ a: 'é', bb: 1, c: 2 }),
  'Error decoding authenticator extensions: Map is not supported or well formed',
);
tell(
  '{ "alt": 12 times "ü" }',
  await returned({ alt: 'ü'.repeat(12) }),
  'Leftover bytes detected while parsing authenticator data',
);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
