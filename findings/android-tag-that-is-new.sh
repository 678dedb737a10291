#!/usr/bin/env bash
# One tag that is not known yet makes an Android's whole key description unreadable
#
# One would expect a reader of Android's AuthorizationList to skip what it does not know: each version of KeyMint has
#   added tags ([723] in 3.0, [724] in 4.0), and each member is tagged and optional. WebAuthn L3 §8.4 judges four named
#   fields.
# Instead, @peculiar/asn1-android knows the tags up to [724]. Any further one, in the list of the hardware or of
#   the software, throws "Data does not match to AuthorizationList ASN1 schema", and with it @simplewebauthn/server
#   refuses the registration. The library's NonStandardKeyDescription, made for lists out of order, refuses it as well.
# Seen with: @peculiar/asn1-android 2.10.0, @peculiar/asn1-schema 2.11.1, @simplewebauthn/server 14.0.3.
# Why it matters: an update of the phone's system, over the air, ends attestation for that phone at each relying party
#   which has not updated its parser before.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @levischuck/tiny-cbor@0.2.11 @peculiar/asn1-android@2.10.0 @peculiar/asn1-schema@2.11.1 @peculiar/x509@2.2.0 \
  @simplewebauthn/server@14.0.3 cborg@6.1.5 reflect-metadata@0.2.2 > /dev/null

cat > finding.mjs <<'JS'
import 'reflect-metadata';
import { KeyObject, createHash, generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
import { encode } from 'cborg';
import { KeyDescription, NonStandardKeyDescription } from '@peculiar/asn1-android';
import { AsnConvert } from '@peculiar/asn1-schema';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(
  `Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}, ${version('@peculiar/asn1-android')}`,
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
const refused = 'Data does not match to AuthorizationList ASN1 schema.';
const flag = (tag) => tagged(tag, der(0x05, []));
function parse(type, lists) {
  try {
    AsnConvert.parse(keyDescription(Buffer.alloc(32), lists), type);
    return 'parsed';
  } catch (error) {
    return error.message;
  }
}
for (const type of [KeyDescription, NonStandardKeyDescription]) {
  tell(`${type.name}, [720] in the hardware's list`, parse(type, { hardware: [flag(720)] }), 'parsed');
  const stated =
    type === KeyDescription
      ? refused
      : 'Data does not match to NonStandardAuthorization ASN1 schema. Wrong values for Choice type';
  tell(`${type.name}, [730] in the hardware's list`, parse(type, { hardware: [flag(730)] }), stated);
}
tell("registration, [720] in the hardware's list", await attest({ lists: { hardware: [flag(720)] } }), 'verified');
tell("registration, [730] in the hardware's list", await attest({ lists: { hardware: [flag(730)] } }), refused);
tell("registration, [730] in the software's list", await attest({ lists: { software: [flag(730)] } }), refused);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
