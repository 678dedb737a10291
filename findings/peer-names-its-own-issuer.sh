#!/usr/bin/env bash
# issuerCertificate is the certificate that the peer sent, not the one that it was verified with
#
# One would expect `getPeerCertificate(true).issuerCertificate` and `getPeerX509Certificate().issuerCertificate`, on a
#   socket whose peer is `authorized`, to be links of the path that OpenSSL verified, up to an authority in `ca`.
# Instead, after an authority was renewed with its key and name, the server trusts the new certificate alone. A
#   client that still sends the old one is authorized, and Node.js reports the old one, which is in no file of the
#   server.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: a service over mutual TLS that looks up what it knows of an authority (its list of revoked
#   certificates, its validity, the callers it may vouch for) by the issuer's fingerprint or serial number finds
#   nothing, or takes the validity of a certificate that it does not trust, for exactly those clients which have not
#   been updated yet.
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

const old = await issue('CN=Authority', { ca: true });
const renewed = await issue('CN=Authority', { ca: true, keys: old.keys });
const server = await issue('CN=server', { issuer: old });
const client = await issue('CN=client', { issuer: old });
const names = {
  [old.cert.serialNumber]: 'the old certificate',
  [renewed.cert.serialNumber]: 'the renewed certificate',
};

async function issuerOf(sent) {
  const listener = tls.createServer({
    key: server.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: server.pem,
    ca: renewed.pem,
    requestCert: true,
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const peer = tls.connect({
    port: listener.address().port,
    host: '127.0.0.1',
    key: client.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: sent.map(({ pem }) => pem).join(''),
    rejectUnauthorized: false,
  });
  const [socket] = await once(listener, 'secureConnection');
  const legacy = socket.getPeerCertificate(true).issuerCertificate;
  const modern = socket.getPeerX509Certificate().issuerCertificate;
  tell('  authorized', socket.authorized, true);
  peer.destroy();
  listener.close();
  return [legacy?.serialNumber, modern?.serialNumber].map((serial) => names[serial] ?? 'none').join(' and ');
}

console.log('The server trusts the renewed certificate alone.');
const both = (name) => `${name} and ${name}`;
tell('issuer when the client sends the old one', await issuerOf([client, old]), both('the old certificate'));
tell(
  'issuer when the client sends the renewed one',
  await issuerOf([client, renewed]),
  both('the renewed certificate'),
);

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
