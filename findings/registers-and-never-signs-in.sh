#!/usr/bin/env bash
# Passkeys in four registered algorithms register, and can never sign in
#
# One would expect a relying party that lists an algorithm in supportedAlgorithmIDs, and whose user's passkey registers
#   with `verified: true`, to be able to verify that passkey's signatures. COSEALG, the library's own list, has ES256K
#   (-47), and its metadata code maps secp256k1 to it.
# Instead, with attestation "none" the registration only reads the key's number. The first sign-in throws: for
#   ES256K because of the curve, for ESP256 (-9), ESP384 (-51) and Ed25519 (-19), the fully-specified algorithms of RFC
#   9864, because of the number, though key and signature are those of ES256, ES384 and EdDSA, which work.
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: the account has a passkey that its user believes in, and finds out at the first sign-in that it opens
#   nothing; W3C's own test vectors hold one such pair (Ed448, -53).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @levischuck/tiny-cbor@0.2.11 @simplewebauthn/server@14.0.3 cborg@6.1.5 > /dev/null

cat > finding.mjs <<'JS'
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { encode } from 'cborg';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}`);

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

async function authenticate(publicKey, signWith, outputs) {
  const client = clientData('webauthn.get');
  const data = authenticatorData(undefined, { outputs });
  return verifyAuthenticationResponse({
    ...expected,
    response: envelope({
      clientDataJSON: base64url(client),
      authenticatorData: base64url(data),
      signature: base64url(signWith(Buffer.concat([data, sha256(client)]))),
    }),
    credential: { id: base64url(id), publicKey, counter: 0 },
  });
}

const ed25519 = (publicKey) =>
  new Map([
    [1, 1],
    [3, -19],
    [-1, 6],
    [-2, Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url')],
  ]);
const unmapped = (alg) => `Could not map COSE alg value of ${alg} to a WebCrypto hash alg name`;
const cases = [
  ['ES256 (-7)', 'ec', 'P-256', 'sha256', (key) => ec2(key), 'verified'],
  ['ES256K (-47)', 'ec', 'secp256k1', 'sha256', (key) => ec2(key, -47, 8), 'Unexpected COSE crv value of 8 (EC2)'],
  ['ESP256 (-9)', 'ec', 'P-256', 'sha256', (key) => ec2(key, -9, 1), unmapped(-9)],
  ['ESP384 (-51)', 'ec', 'P-384', 'sha384', (key) => ec2(key, -51, 2), unmapped(-51)],
  ['Ed25519 (-19)', 'ed25519', undefined, null, ed25519, 'Public key had invalid alg -19 (OKP)'],
];
for (const [name, type, namedCurve, hash, cose, stated] of cases) {
  const key = generateKeyPairSync(type, { namedCurve });
  const registration = await register('none', authenticatorData(cose(key.publicKey)), () => ({}));
  tell(`${name} registers`, registration.verified, true);
  const { publicKey } = registration.registrationInfo.credential;
  tell(
    `${name} signs in`,
    await outcome(authenticate(publicKey, (signed) => sign(hash, signed, key.privateKey))),
    stated,
  );
}

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
