#!/usr/bin/env bash
# One float in an extension output keeps a passkey from registering and from signing in
#
# One would expect extension outputs which the relying party does not know to be ignored, or refused by its policy
#   (WebAuthn L3 §7.1, §9), whatever well-formed CBOR they are made of. CTAP2's canonical form does not change how a
#   float is written, and the outputs of the registered extension "loc" (WebAuthn L1, a position) are floats.
# Instead, the library finds the end of the outputs by decoding them, encoding the result again and counting the
#   bytes that come out. A float64 that fits into 32 bits and a float32 that is a whole number shrink: "Leftover bytes".
#   A float16 and an integer from 2^53 on cannot be read at all. 0.1 passes, 1.5 does not; the data is signed and well
#   formed.
# Seen with: @simplewebauthn/server 14.0.3 with @levischuck/tiny-cbor 0.2.11.
# Why it matters: an authenticator that reports a measurement, a position or a 64-bit counter is refused, depending on
#   the value: the same key works at one sign-in and not at the next.
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

console.log(
  `Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}, ${version('@levischuck/tiny-cbor')}, ${version('cborg')}`,
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

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const values = {
  'the integer 1': ['01', 'verified'],
  'the float64 0.1': ['fb3fb999999999999a', 'verified'],
  'the float64 1.5': ['fb3ff8000000000000', 'Leftover bytes detected while parsing authenticator data'],
  'the float32 1.5': ['fa3fc00000', 'verified'],
  'the float32 1.0': ['fa3f800000', 'Leftover bytes detected while parsing authenticator data'],
  'the float16 1.5': ['f93e00', 'Float16 data is unsupported'],
  'the integer 2^53 - 1': ['1b001fffffffffffff', 'verified'],
  'the integer 2^53': ['1b0020000000000000', 'Length not supported or not well formed'],
  'the integer -2^53': ['3b001fffffffffffff', 'Leftover bytes detected while parsing authenticator data'],
};
for (const [value, [cbor, stated]] of Object.entries(values)) {
  const outputs = Buffer.from(`a163616c74${cbor}`, 'hex'); // { "alt": value }
  const data = authenticatorData(ec2(key.publicKey), { outputs });
  tell(`registration with ${value}`, await outcome(register('none', data, () => ({}))), stated);
  const assertion = authenticate(
    encode(ec2(key.publicKey)),
    (signed) => sign('sha256', signed, key.privateKey),
    outputs,
  );
  tell(`sign-in with ${value}`, await outcome(assertion), stated);
}

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
