#!/usr/bin/env bash
# A revocation list stops working when the root is renewed, even where the old root stays trusted
#
# One would expect a root that was renewed with its key and name to be the same authority for its lists: RFC 5280
#   §6.3.3 (f) and (g) ask for the key that verifies the list.
# Instead, OpenSSL holds the list's authority key identifier against the certificate of the issuer that it chose,
#   member by member. A list that names its issuer by name and serial number beside the key identifier
#   ("keyid:always,issuer:always", as easy-rsa's [crl_ext] writes) names the old certificate. Every client is refused
#   with UNABLE_TO_GET_CRL when the renewed root is trusted, and also when both are and the renewed one comes first.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: the list is there, current and signed by the right key, and the error says that it cannot be got.
#   Trusting both roots for the time of the change, the usual careful way, does not help unless the old one comes first.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true, "allowScripts": { "node": true } }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @peculiar/x509@2.2.0 node@26.10.0 reflect-metadata@0.2.2 > /dev/null

cat > finding.mjs <<'JS'
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, OpenSSL ${process.versions.openssl}, ${version('@peculiar/x509')}`);
setTimeout(() => {
  console.log('CHANGED | no answer in half a minute');
  process.exit(1);
}, 30_000).unref();

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

async function list(issuer, extensions = []) {
  const crl = await x509.X509CrlGenerator.create({
    issuer: issuer.cert.subject,
    thisUpdate: new Date(Date.now() - 3_600_000),
    nextUpdate: new Date(Date.now() + 86_400_000),
    signingAlgorithm: P256,
    signingKey: issuer.keys.privateKey,
    entries: [],
    extensions,
  });
  return pem('X509 CRL', crl.rawData);
}

function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag].flat()), Buffer.from(size), body]);
}

const root = await issue('CN=Root', { ca: true });
const own = await issue('CN=server', { issuer: root });

/** The server's verdict on a client: "authorized", or the code of authorizationError. */
async function judge({ client, chain = [], ca = [root], crl }) {
  const server = tls.createServer({
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: own.pem,
    ca: ca.map((authority) => authority.pem),
    crl,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer = tls.connect({
    port: server.address().port,
    host: '127.0.0.1',
    key: client.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: client.pem + chain.map((link) => link.pem).join(''),
    rejectUnauthorized: false,
  });
  peer.on('error', () => undefined);
  const [socket] = await once(server, 'secureConnection');
  const verdict = socket.authorized ? 'authorized' : socket.authorizationError;
  peer.destroy();
  socket.destroy();
  server.close();
  return verdict;
}

const old = await issue('CN=Authority', { ca: true });
const renewed = await issue('CN=Authority', { ca: true, keys: old.keys });
const client = await issue('CN=client', { issuer: old });
const { keyId } = await x509.AuthorityKeyIdentifierExtension.create(old.keys.publicKey);
const key = der(0x80, Buffer.from(keyId, 'hex'));
const nameAndSerial = (of) => [
  der(0xa1, der(0xa4, Buffer.from(of.cert.subjectName.toArrayBuffer()))),
  der(0x82, Buffer.from(of.cert.serialNumber, 'hex')),
];
const byKey = await list(old, [new x509.Extension('2.5.29.35', false, der(0x30, key))]);
const byBoth = await list(old, [new x509.Extension('2.5.29.35', false, der(0x30, key, ...nameAndSerial(old)))]);

tell('before the renewal', await judge({ client, ca: [old], crl: byBoth }), 'authorized');
tell('only the renewed root', await judge({ client, ca: [renewed], crl: byBoth }), 'UNABLE_TO_GET_CRL');
tell('the renewed and the old root', await judge({ client, ca: [renewed, old], crl: byBoth }), 'UNABLE_TO_GET_CRL');
tell('the old and the renewed root', await judge({ client, ca: [old, renewed], crl: byBoth }), 'authorized');
tell('a list with the key identifier alone', await judge({ client, ca: [renewed], crl: byKey }), 'authorized');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
