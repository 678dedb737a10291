#!/usr/bin/env bash
# An Android key attestation of an RSA or Ed25519 key never verifies
#
# One would expect WebAuthn L3 §8.4 to hold for each kind of key that Android attests and that the relying party lists:
#   "the public key in the first certificate in x5c matches the credentialPublicKey".
# Instead, the library writes the COSE key as 04 || x || y and compares that with the certificate's key. For RSA it
#   compares 04 || e, for Ed25519 04 || x. Both give "Credential public key does not equal leaf cert public key", though
#   the keys are equal, and though the same two algorithms verify in the other formats.
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: a relying party that offers RS256 or EdDSA to Android gets an error that reads like an attack.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @levischuck/tiny-cbor@0.2.11 @peculiar/x509@2.2.0 @simplewebauthn/server@14.0.3 cborg@6.1.5 \
  reflect-metadata@0.2.2 > /dev/null

cat > finding.mjs <<'JS'
import 'reflect-metadata';
import { KeyObject, createHash, generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
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

x509.cryptoProvider.set(webcrypto);
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const newKeys = (algorithm = P256) => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
const pem = (label, der) =>
  `-----BEGIN ${label}-----\n${Buffer.from(der)
    .toString('base64')
    .match(/.{1,64}/g)
    .join('\n')}\n-----END ${label}-----\n`;
let serialNumber = 0x41000000;
async function issue(
  subject,
  { issuer, keys, ca = false, identifiers = true, extensions = [], algorithm = P256 } = {},
) {
  keys ??= await newKeys(algorithm);
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: (++serialNumber).toString(16),
    subject,
    issuer: issuer?.cert.subject ?? subject,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    publicKey: keys.publicKey,
    signingKey: (issuer?.keys ?? keys).privateKey,
    signingAlgorithm: issuer?.algorithm ?? algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(identifiers ? [await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)] : []),
      ...(identifiers ? [await x509.AuthorityKeyIdentifierExtension.create((issuer?.keys ?? keys).publicKey)] : []),
      ...extensions,
    ],
  });
  const privateKey = KeyObject.from(keys.privateKey);
  return { cert, keys, algorithm, privateKey, der: Buffer.from(cert.rawData), pem: pem('CERTIFICATE', cert.rawData) };
}

const trust = (identifier, ...authorities) =>
  SettingsService.setRootCertificates({ identifier, certificates: authorities.map((authority) => authority.pem) });

function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag].flat()), Buffer.from(size), body]);
}

const integer = (n) => der(0x02, n < 128 ? [n] : [n >> 8, n & 255]);
const tagged = (n, value) => der(n < 31 ? 0xa0 | n : n < 128 ? [0xbf, n] : [0xbf, 0x80 | (n >> 7), n & 127], value);
/** KeyDescription of KeyMint 4.0: version and security level twice, challenge, unique id, two authorization lists */
function keyDescription(challenge, { software = [], hardware = [] } = {}) {
  const level = der(0x0a, [1]);
  const purpose = tagged(1, der(0x31, integer(2)));
  const origin = tagged(702, integer(0));
  const lists = [der(0x30, ...software), der(0x30, purpose, origin, ...hardware)];
  return der(0x30, integer(400), level, integer(400), level, der(0x04, challenge), der(0x04, []), ...lists);
}
const root = await issue('CN=Android root', { ca: true });
const between = await issue('CN=Between', { issuer: root, ca: true });
/** WebAuthn L3 §8.4 */
async function attest({ keys, cose = ec2, alg = -7, hash = 'sha256', chain = [between, root], aaguid, lists } = {}) {
  keys ??= await newKeys();
  const data = authenticatorData(cose(KeyObject.from(keys.publicKey)), { aaguid });
  return outcome(
    register('android-key', data, async (signed, clientDataHash) => {
      const extensions = [new x509.Extension('1.3.6.1.4.1.11129.2.1.17', false, keyDescription(clientDataHash, lists))];
      const leaf = await issue('CN=Android Keystore Key', { issuer: between, keys, extensions });
      return { alg, sig: sign(hash, signed, leaf.privateKey), x5c: [leaf, ...chain].map((link) => link.der) };
    }),
  );
}

trust('android-key', root);
const differs = 'Credential public key does not equal leaf cert public key (Android Key)';
const bytes = (text) => Buffer.from(text, 'base64url');
const rsa = (publicKey) => {
  const { n, e } = publicKey.export({ format: 'jwk' });
  return new Map([
    [1, 3],
    [3, -257],
    [-1, bytes(n)],
    [-2, bytes(e)],
  ]);
};
const okp = (publicKey) =>
  new Map([
    [1, 1],
    [3, -8],
    [-1, 6],
    [-2, bytes(publicKey.export({ format: 'jwk' }).x)],
  ]);
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Buffer.from([1, 0, 1]) };

tell('ES256', await attest(), 'verified');
tell('RS256', await attest({ keys: await newKeys(RSA), cose: rsa, alg: -257 }), differs);
tell('EdDSA', await attest({ keys: await newKeys({ name: 'Ed25519' }), cose: okp, alg: -8, hash: null }), differs);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
