#!/usr/bin/env bash
# An Android's chain must hold its root, unless metadata is loaded: then it must not
#
# One would expect the same chain of a phone to be judged in the same way whether or not a metadata statement for its
#   AAGUID is loaded. X.509 leaves it open whether a chain holds its root; phones with factory keys send Google's, those
#   with remotely provisioned keys do not.
# Instead, without a statement the library takes the last certificate for the root, so a chain that ends below the
#   trusted root is refused. With a statement (FIDO's list has one for Android's AAGUID b93fd961-…, with Google's roots)
#   the other shape is refused: a root that is both in the chain and in the statement is "duplicate certificates". An
#   attestation with one certificate below the root, the shape of W3C's test vector, ends in an error about
#   "isSelfSigned".
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: loading the metadata list locks out the phones that worked before, and lets in those that did not.
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
import { MetadataService, SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
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
const duplicate = [
  'Unexpected error while validating certificate path (Android Key)',
  'Unexpected error while validating certificate path',
  'Invalid certificate path: found duplicate certificates',
].join(' <- ');
const AAGUID = 'b93fd961-f2e6-462f-b122-82002247de78';
const aaguid = Buffer.from(AAGUID.replaceAll('-', ''), 'hex');

tell('no metadata, chain with its root', await attest({ aaguid }), 'verified');
tell(
  'no metadata, chain below its root',
  await attest({ aaguid, chain: [between] }),
  'x5c root certificate was not a known root certificate (Android Key)',
);
tell('no metadata, one certificate', (await attest({ aaguid, chain: [] })).includes("reading 'isSelfSigned'"), true);

const statement = {
  aaguid: AAGUID,
  attestationTypes: ['basic_full'],
  authenticationAlgorithms: ['secp256r1_ecdsa_sha256_raw'],
  attestationRootCertificates: [root.der.toString('base64')],
};
await MetadataService.initialize({ mdsServers: [], statements: [statement], verificationMode: 'permissive' });
tell('metadata, chain with its root', await attest({ aaguid }), duplicate);
tell('metadata, chain below its root', await attest({ aaguid, chain: [between] }), 'verified');

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
