#!/usr/bin/env bash
# Algorithms that a passkey may use are refused for its attestation
#
# One would expect an attestation certificate to be able to use the algorithms that the library verifies passkeys and
#   certificates with: ES512 on P-521, EdDSA, PS256. WebAuthn L3 §8.2 restricts nothing.
# Instead, a P-521 or Ed25519 key in the certificate throws, while an attestation by a root on P-521 or Ed25519
#   verifies. A P-256 key whose point is compressed (RFC 5480 §2.2) throws a text that begins with TODO. With an RSA key
#   the signature is always checked as RSASSA-PKCS1-v1_5, whatever "alg" says: a PS256 statement gives `verified: false`
#   without an error.
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: makers of security keys choose the key of a batch once and cannot change it in the field.
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
import { KeyObject, constants, createHash, generateKeyPairSync, sign, webcrypto } from 'node:crypto';
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
  { issuer, keys, publicKey, ca = false, identifiers = true, extensions = [], algorithm = P256 } = {},
) {
  keys ??= await newKeys(algorithm);
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: (++serialNumber).toString(16),
    subject,
    issuer: issuer?.cert.subject ?? subject,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    publicKey: publicKey ?? keys.publicKey,
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

const SUBJECT = 'C=DE, O=Maker, OU=Authenticator Attestation, CN=Model';
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const root = await issue('CN=Root', { ca: true });
/** WebAuthn L3 §8.2 */
async function attest({ leaf, chain = [], alg = -7, hash = 'sha256', options = {} }) {
  return outcome(
    register('packed', authenticatorData(ec2(pair.publicKey)), (signed) => ({
      alg,
      sig: sign(hash, signed, { key: leaf.privateKey, ...options }),
      x5c: [leaf, ...chain].map((link) => link.der),
    })),
  );
}

const P521 = { name: 'ECDSA', namedCurve: 'P-521', hash: 'SHA-512' };
const ED25519 = { name: 'Ed25519' };
const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Buffer.from([1, 0, 1]) };
const leafWith = async (algorithm) => issue(SUBJECT, { issuer: root, keys: await newKeys(algorithm) });
async function below(algorithm) {
  const authority = await issue('CN=Another root', { ca: true, algorithm });
  trust('packed', authority);
  const leaf = await issue(SUBJECT, { issuer: authority });
  return attest({ leaf });
}
tell('a root on P-521', await below(P521), 'verified');
tell('a root on Ed25519', await below(ED25519), 'verified');

trust('packed', root);
tell(
  'ES512, a certificate with a key on P-521',
  await attest({ leaf: await leafWith(P521), alg: -36, hash: 'sha512' }),
  'Certificate public key contained unexpected namedCurve 1.3.132.0.35 (EC2)',
);
tell(
  'EdDSA, a certificate with a key on Ed25519',
  await attest({ leaf: await leafWith(ED25519), alg: -8, hash: null }),
  'Certificate public key contained unexpected algorithm ID 1.3.101.112',
);
tell('RS256, a certificate with an RSA key', await attest({ leaf: await leafWith(RSA), alg: -257 }), 'verified');
const { x, y } = pair.publicKey.export({ format: 'jwk' });
const parity = Buffer.from(y, 'base64url')[31] & 1;
const point = Buffer.concat([Buffer.from([0, 2 | parity]), Buffer.from(x, 'base64url')]);
const info = Buffer.concat([Buffer.from('3039301306072a8648ce3d020106082a8648ce3d0301070322', 'hex'), point]);
const compressed = await issue(SUBJECT, { issuer: root, publicKey: new x509.PublicKey(info) });
tell(
  'ES256, a certificate with a compressed point',
  await attest({ leaf: { ...compressed, privateKey: pair.privateKey } }),
  'TODO: Figure out how to handle public keys in "compressed form"',
);
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
tell(
  'PS256, a certificate with an RSA key',
  await attest({ leaf: await leafWith(RSA), alg: -37, options: pss }),
  'not verified',
);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
