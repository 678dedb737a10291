#!/usr/bin/env bash
# A client with the same name as its authority counts as self-signed, although the authority has signed it
#
# One would expect a certificate to be self-signed when its own key has signed it. SPIFFE puts the identity into a URI
#   and cares for no subject, so a small authority gives itself and its workloads the same subject, such as O=Acme.
# Instead, without key identifiers OpenSSL distinguishes issuer and subject by name alone. It takes the client's
#   certificate for its own issuer and refuses it with DEPTH_ZERO_SELF_SIGNED_CERT, though the trusted root has signed
#   it. The root's signature is never tried. With key identifiers, or another subject, the same client is authorized.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: the error makes the operators of a service over mutual TLS search for a self-signed certificate
#   that does not exist.
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

const identity = new x509.SubjectAlternativeNameExtension([{ type: 'url', value: 'spiffe://acme.example/pay' }]);
async function clientOf(subject, identifiers) {
  const acme = await issue('O=Acme', { ca: true, identifiers });
  return { ca: [acme], client: await issue(subject, { issuer: acme, identifiers, extensions: [identity] }) };
}
tell('O=Acme, no key identifiers', await judge(await clientOf('O=Acme', false)), 'DEPTH_ZERO_SELF_SIGNED_CERT');
tell('O=Acme, with key identifiers', await judge(await clientOf('O=Acme', true)), 'authorized');
tell('OU=Pay, no key identifiers', await judge(await clientOf('OU=Pay', false)), 'authorized');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
