#!/usr/bin/env bash
# A SPIFFE identity is refused because its common name looks like a host's
#
# One would expect a DNS name constraint of an authority to bind DNS names. RFC 5280 §4.2.1.10 applies it to
#   subjectAltName; a SPIFFE workload's certificate has one name there, a URI, which the constraint does not cover, and
#   no server reads the common name of a client.
# Instead, when a certificate has no DNS name in subjectAltName, OpenSSL holds the common name against DNS
#   constraints if it looks like a host name, for clients as well. CN=payments.internal is refused, CN=payments and
#   CN=Payments service pass, and so does CN=payments.internal when any permitted DNS name stands beside the URI.
#   Node.js calls it UNSPECIFIED.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: whether a workload may call a service over mutual TLS turns on a dot in a label that is not part of
#   its identity, and nothing in the error points there.
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

const constraint = new x509.Extension('2.5.29.30', true, der(0x30, der(0xa0, der(0x30, der(0x82, 'example.com')))));
const narrow = await issue('CN=Narrow', { issuer: root, ca: true, extensions: [constraint] });
const uri = { type: 'url', value: 'spiffe://example.com/payments' };
async function workload(commonName, ...names) {
  const extensions = [new x509.SubjectAlternativeNameExtension([uri, ...names])];
  return judge({ client: await issue(`CN=${commonName}`, { issuer: narrow, extensions }), chain: [narrow] });
}
tell('CN=payments.internal', await workload('payments.internal'), 'UNSPECIFIED');
tell('CN=payments', await workload('payments'), 'authorized');
tell('CN=Payments service', await workload('Payments service'), 'authorized');
const host = { type: 'dns', value: 'payments.example.com' };
tell('CN=payments.internal, and a DNS name', await workload('payments.internal', host), 'authorized');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
