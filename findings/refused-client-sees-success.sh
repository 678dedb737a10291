#!/usr/bin/env bash
# A client that the server refuses sees a successful handshake, and no alert
#
# One would expect a server with `rejectUnauthorized: true` to refuse a certificate of an unknown authority by a TLS
#   alert (RFC 8446 §4.4.2.4 and §6.2: unknown_ca, bad_certificate), as OpenSSL's own servers do, so that the client's
#   side knows.
# Instead, Node.js finishes the handshake and then closes the socket. With TLS 1.3 the client gets `secureConnect`
#   with `authorized: true` (its own verdict on the server), and then an ordinary end of stream without any error. With
#   TLS 1.2 it gets ECONNRESET. On the server `tlsClientError` says "socket hang up"; the reason is in the socket's
#   `authorizationError` alone.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: for peers of a service over mutual TLS an expired or wrong client certificate looks like a crashed
#   server or a broken network, and they retry; monitoring that counts alerts or error codes counts none of these
#   refusals.
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
const own = await issue('CN=server', { issuer: root });

const foreign = await issue('CN=Foreign', { ca: true });
const refused = await issue('CN=client', { issuer: foreign });

for (const [version, clientSees] of [
  ['TLSv1.3', 'secureConnect (authorized true), end'],
  ['TLSv1.2', 'end, error ECONNRESET'],
]) {
  const server = tls.createServer({
    key: own.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: own.pem,
    ca: root.pem,
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: version,
    maxVersion: version,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const refusal = once(server, 'tlsClientError');
  const peer = tls.connect({
    port: server.address().port,
    host: '127.0.0.1',
    ca: root.pem,
    key: refused.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: refused.pem,
    checkServerIdentity: () => undefined,
  });
  const seen = [];
  peer.on('secureConnect', () => seen.push(`secureConnect (authorized ${peer.authorized})`));
  peer.on('error', (error) => seen.push(`error ${error.code}`));
  peer.on('end', () => seen.push('end'));
  peer.resume();
  await new Promise((resolve) => peer.once('close', resolve));
  const [error, socket] = await refusal;
  tell(`${version}, the refused client sees`, seen.join(', '), clientSees);
  tell(`${version}, tlsClientError on the server`, `${error.code} ${error.message}`, 'ECONNRESET socket hang up');
  tell(`${version}, authorizationError on the server`, socket.authorizationError, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  server.close();
}

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
