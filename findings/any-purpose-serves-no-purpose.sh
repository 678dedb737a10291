#!/usr/bin/env bash
# A certificate for any purpose may do nothing; one without purposes may do everything
#
# One would expect anyExtendedKeyUsage (RFC 5280 §4.2.1.12, "any purpose" in Windows' certificate services) to include
#   client authentication, as it does in Go and in Java.
# Instead, OpenSSL looks for clientAuth itself. A client, or an intermediate authority, whose only purpose is
#   anyExtendedKeyUsage is refused with INVALID_PURPOSE, while the same certificate without the extension is authorized.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: the broadest template of an enterprise's authority is the one that a service over mutual TLS refuses.
#   RFC 5280 lets an application require the particular purpose ("MAY"), and the error does not say which one is
#   missing.
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

const { ExtendedKeyUsageExtension } = x509;
const any = new ExtendedKeyUsageExtension(['2.5.29.37.0']);
const both = new ExtendedKeyUsageExtension(['2.5.29.37.0', '1.3.6.1.5.5.7.3.2']);
const client = (...extensions) => issue('CN=client', { issuer: root, extensions });
const between = await issue('CN=Between', { issuer: root, ca: true, extensions: [any] });

tell('no purposes', await judge({ client: await client() }), 'authorized');
tell('any purpose', await judge({ client: await client(any) }), 'INVALID_PURPOSE');
tell('any purpose and clientAuth', await judge({ client: await client(both) }), 'authorized');
const below = await issue('CN=client', { issuer: between });
tell('below an intermediate for any purpose', await judge({ client: below, chain: [between] }), 'INVALID_PURPOSE');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
