#!/usr/bin/env bash
# A root that is renewed with the same key and name, by another tool, orphans every certificate
#
# One would expect key identifiers to help to find an issuer (RFC 5280 §4.2.1.1: "a means of identifying the public
#   key"). Path validation (§6.1) does not compare them; with the same name and the same key each signature still holds.
# Instead, OpenSSL takes a certificate for the issuer only if its subject key identifier equals the authority key
#   identifier below. §4.2.1.2 leaves open how it is made (SHA-1, a part of it, or SHA-256 cut short by RFC 7093), and
#   tools differ. After a renewal by another tool all clients are refused with UNABLE_TO_VERIFY_LEAF_SIGNATURE, a text
#   about a signature that holds.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: moving a private authority to another product while keeping its key locks all callers out of a service
#   over mutual TLS, and `crypto.X509Certificate.verify` on the same two certificates says true.
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
import { createHash, X509Certificate } from 'node:crypto';
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

const old = await issue('CN=Authority', { ca: true });
const cut = createHash('sha256').update(Buffer.from(old.cert.publicKey.rawData).subarray(-65)).digest().subarray(0, 20);
const renewed = await issue('CN=Authority', {
  ca: true,
  keys: old.keys,
  identifiers: false,
  extensions: [new x509.SubjectKeyIdentifierExtension(cut.toString('hex'))],
});
const client = await issue('CN=client', { issuer: old });
const signatureHolds = new X509Certificate(client.pem).verify(new X509Certificate(renewed.pem).publicKey);

tell('the signature holds by the key of the renewed root', signatureHolds, true);
tell('the old root', await judge({ client, ca: [old] }), 'authorized');
tell('the renewed root', await judge({ client, ca: [renewed] }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
tell('both', await judge({ client, ca: [renewed, old] }), 'authorized');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
