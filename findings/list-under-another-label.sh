#!/usr/bin/env bash
# @peculiar/x509 writes revocation lists that Node.js cannot read
#
# One would expect `X509Crl.toString('pem')` to give what the option `crl` of a TLS server takes; with certificates the
#   two go together.
# Instead, the library labels a list "BEGIN CRL". RFC 7468 §6 says "X509 CRL", and OpenSSL knows no other label, so
#   Node.js fails with "Failed to parse CRL". The same bytes under the other label are taken.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: an authority in TypeScript that hands its list to a service over mutual TLS stops it from starting,
#   or, when a file is replaced while it runs, from taking the newer list.
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

const crl = await x509.X509CrlGenerator.create({
  issuer: root.cert.subject,
  thisUpdate: new Date(Date.now() - 3_600_000),
  nextUpdate: new Date(Date.now() + 86_400_000),
  signingAlgorithm: P256,
  signingKey: root.keys.privateKey,
  entries: [],
});
function load(text) {
  try {
    tls.createSecureContext({ ca: root.pem, crl: text });
    return 'taken';
  } catch (error) {
    return error.message;
  }
}
tell('a certificate as the library writes it', loadCertificate(), 'taken');
tell('the first line of a list', crl.toString('pem').split('\n')[0], '-----BEGIN CRL-----');
tell('a list as the library writes it', load(crl.toString('pem')), 'Failed to parse CRL');
tell('the same bytes under "X509 CRL"', load(pem('X509 CRL', crl.rawData)), 'taken');

function loadCertificate() {
  tls.createSecureContext({ ca: root.cert.toString('pem') });
  return 'taken';
}

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
