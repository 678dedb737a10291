#!/usr/bin/env bash
# A JWS by Ed25519 verifies under one of its two names only, which one depends on who published the key
#
# One would expect EdDSA (RFC 8037) with a key on Ed25519 and Ed25519 (RFC 9864, which deprecates the former) to be
#   interchangeable for a verifier that knows both: the key, the bytes that are signed and the signature are the same
#   but for the name in the header.
# Instead, jose signs and verifies under either name, but a key set that names one algorithm (`alg` of a JWK, which
#   RFC 7517 §4.4: the intended algorithm) does not offer its key to a JWS under the other: "no applicable key".
#   The same set without `alg` offers it to both. fast-jwt takes EdDSA only, and for Ed25519 blames the key.
# Seen with: jose 6.2.18, fast-jwt 6.3.6.
# Why it matters: an issuer that follows RFC 9864 and publishes its keys as it should is refused by verifiers that pin
#   EdDSA, and one that only renames `alg` in its key set refuses the tokens that it has just signed. The message
#   speaks of a missing or a wrong key, so people look for a rotation that did not happen.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact jose@6.2.18 fast-jwt@6.3.6 > /dev/null

cat > finding.mjs <<'JS'
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fastJwt from 'fast-jwt';
import { createLocalJWKSet, jwtVerify, SignJWT } from 'jose';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('jose')}, ${version('fast-jwt')}`);

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k' };
const pem = publicKey.export({ type: 'spki', format: 'pem' });
const NO_KEY = 'ERR_JWKS_NO_MATCHING_KEY';

for (const alg of ['EdDSA', 'Ed25519']) {
  const token = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg, kid: 'k' }).sign(privateKey);
  for (const named of [undefined, 'EdDSA', 'Ed25519']) {
    const keys = createLocalJWKSet({ keys: [{ ...jwk, ...(named && { alg: named }) }] });
    const seen = await jwtVerify(token, keys).then(
      () => 'verifies',
      ({ code }) => code,
    );
    const stated = named === undefined || named === alg ? 'verifies' : NO_KEY;
    tell(`jose, signed as ${alg}, key set says ${named ?? 'nothing'}`, seen, stated);
  }
  const seen = (() => {
    try {
      return fastJwt.createVerifier({ key: pem })(token).sub === 'ada' ? 'verifies' : 'other';
    } catch ({ code }) {
      return code;
    }
  })();
  tell(`fast-jwt, signed as ${alg}`, seen, alg === 'EdDSA' ? 'verifies' : 'FAST_JWT_INVALID_ALGORITHM');
}
try {
  fastJwt.createVerifier({ key: pem, algorithms: ['Ed25519'] });
  tell('fast-jwt, told to take Ed25519', 'made', 'FAST_JWT_INVALID_KEY');
} catch ({ code }) {
  tell('fast-jwt, told to take Ed25519', code, 'FAST_JWT_INVALID_KEY');
}
if (changed) process.exitCode = 1;
JS
node finding.mjs
