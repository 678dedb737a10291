#!/usr/bin/env bash
# A resumed session keeps the client's certificate, and loses the chain above it
#
# One would expect a resumed TLS session to say as much about the peer as the session that it resumes. It does say
#   `authorized: true` and the peer's own certificate.
# Instead, the intermediate that the client sent is gone. In the first connection `getPeerCertificate(true)` leads
#   to the root; in the resumed one it ends with the client's own certificate, without an error. OpenSSL's sessions hold
#   the leaf alone.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
#   TLS 1.2 and 1.3.
# Why it matters: a service over mutual TLS that judges callers by who issued their certificate (a SPIFFE trust domain,
#   a tenant's intermediate) refuses clients from their second connection on, and only those that resume sessions: it
#   passes each test that connects once.
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

const root = await issue('CN=Root', { ca: true });
const between = await issue('CN=Between', { issuer: root, ca: true });
const own = await issue('CN=server', { issuer: root });
const client = await issue('CN=client', { issuer: between });

function chainOf(socket) {
  const names = [];
  for (
    let link = socket.getPeerCertificate(true);
    link && !names.includes(link.subject.CN);
    link = link.issuerCertificate
  ) {
    names.push(link.subject.CN);
  }
  return names.join(', ');
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  const server = tls.createServer({
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: own.pem,
    ca: root.pem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: version,
    maxVersion: version,
  });
  const seen = [];
  server.on('secureConnection', (socket) => {
    const { authorized } = socket;
    seen.push(`resumed ${socket.isSessionReused()}, authorized ${authorized}, chain ${chainOf(socket)}`);
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  let session;
  for (const connection of [1, 2]) {
    const peer = tls.connect({
      port: server.address().port,
      host: '127.0.0.1',
      key: client.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      cert: client.pem + between.pem,
      rejectUnauthorized: false,
      session,
    });
    peer.on('session', (ticket) => {
      session = ticket;
    });
    peer.resume();
    await once(peer, 'close');
    const stated =
      connection === 1
        ? 'resumed false, authorized true, chain client, Between, Root'
        : 'resumed true, authorized true, chain client';
    tell(`${version}, connection ${connection}`, seen.at(-1), stated);
  }
  server.close();
}

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
