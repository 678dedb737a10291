#!/usr/bin/env bash
# When FIDO publishes its metadata a day late, registrations fail
#
# One would expect a metadata list whose nextUpdate has passed to be asked for again, and, while the server still has
#   the same one, to stay in use. FIDO's Metadata Service says of a list with the same number that it is to be ignored:
#   the new file, not the authenticators.
# Instead, from the beginning of the day that nextUpdate names, each registration of an authenticator in the list
#   downloads it anew, and while its number has not grown, the registration itself throws "Latest BLOB no. 7 is not
#   greater than previous no. 7". When the server cannot be reached, it throws "fetch failed". Authenticators that are
#   not in the list register.
# Seen with: @simplewebauthn/server 14.0.3; the list is signed by a root made here and served on the loopback.
# Why it matters: once a month the registration of passkeys hangs on another organisation's publishing in time, and it
#   is the authenticators which are known best that fail.
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
import { createServer } from 'node:http';
import { once } from 'node:events';
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

const SUBJECT = 'C=DE, O=Maker, OU=Authenticator Attestation, CN=Model';
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const root = await issue('CN=Root', { ca: true });
/** WebAuthn L3 §8.2 */
async function attest({ aaguid, leaf, chain = [], alg = -7, hash = 'sha256', options = {} }) {
  return outcome(
    register('packed', authenticatorData(ec2(pair.publicKey), { aaguid }), (signed) => ({
      alg,
      sig: sign(hash, signed, { key: leaf.privateKey, ...options }),
      x5c: [leaf, ...chain].map((link) => link.der),
    })),
  );
}

const AAGUID = '0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a';
const aaguid = Buffer.alloc(16, 0x0a);
const leaf = await issue(SUBJECT, { issuer: root });
const signer = await issue('CN=mds.example', { issuer: root });
trust('mds', root);
trust('packed', root);

/** FIDO Metadata Service §3.1.7: a JWT with the list */
function blob(nextUpdate) {
  const statement = {
    aaguid: AAGUID,
    attestationTypes: ['basic_full'],
    authenticationAlgorithms: ['secp256r1_ecdsa_sha256_raw'],
    attestationRootCertificates: [root.der.toString('base64')],
  };
  const entries = [
    { aaguid: AAGUID, metadataStatement: statement, statusReports: [], timeOfLastStatusChange: '2026-01-01' },
  ];
  const header = { alg: 'ES256', typ: 'JWT', x5c: [signer.der.toString('base64')] };
  const payload = { legalHeader: 'none', no: 7, nextUpdate, entries };
  const signed = [header, payload].map((part) => base64url(Buffer.from(JSON.stringify(part)))).join('.');
  const signature = sign('sha256', Buffer.from(signed), { key: signer.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${base64url(signature)}`;
}
const day = (offset) => new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10);

async function registrations(nextUpdate, stop) {
  const server = createServer((_, response) => response.end(blob(nextUpdate)));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const mdsServers = [`http://127.0.0.1:${server.address().port}/`];
  await MetadataService.initialize({ mdsServers, statements: [], verificationMode: 'permissive' });
  server.closeAllConnections();
  if (stop) await once(server.close(), 'close');
  const listed = await attest({ leaf, aaguid });
  const unlisted = await attest({ leaf, aaguid: Buffer.alloc(16, 0x0b) });
  server.closeAllConnections();
  server.close();
  return `listed ${listed}, unlisted ${unlisted}`;
}
tell('the next list is due in two days', await registrations(day(2)), 'listed verified, unlisted verified');
tell(
  'it was due two days ago, the same is served',
  await registrations(day(-2)),
  'listed Latest BLOB no. 7 is not greater than previous no. 7, unlisted verified',
);
const unreachable = await registrations(day(-2), true);
tell(
  'it was due two days ago, nothing is served',
  unreachable.replace(/ <- .*,/, ','),
  'listed fetch failed, unlisted verified',
);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
