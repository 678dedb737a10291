#!/usr/bin/env bash
# Six faults that have nothing in common reach the server as the same "UNSPECIFIED"
#
# One would expect `authorizationError` to name the fault, as it does for CERT_HAS_EXPIRED or INVALID_PURPOSE, and
#   OpenSSL has a name and a number for each fault.
# Instead, Node.js knows the names of some thirty faults. The others become UNSPECIFIED, and a server gets no error
#   object whose message would have OpenSSL's text: a client with a small key, a client with a critical extension that
#   is not known, a name outside of a constraint, an authority that may not sign certificates, one that may not sign
#   lists, and a list with a critical extension that is not known all look alike.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: an operator of a service over mutual TLS cannot see from its log whether one caller must get a new
#   certificate or whether a new list or authority locks out everyone.
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
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  peer.on('error', () => undefined);
  const [socket] = await once(server, 'secureConnection');
  const verdict = socket.authorized ? 'authorized' : socket.authorizationError;
  peer.destroy();
  socket.destroy();
  server.close();
  return verdict;
}

const { Extension, KeyUsagesExtension, KeyUsageFlags } = x509;
const unknown = new Extension('1.2.3.4', true, Buffer.from('0500', 'hex'));
const small = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 1024,
  publicExponent: Buffer.from([1, 0, 1]),
};
const constraint = new Extension('2.5.29.30', true, der(0x30, der(0xa0, der(0x30, der(0x82, 'example.com')))));
const narrow = await issue('CN=Narrow', { issuer: root, ca: true, extensions: [constraint] });
const name = new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'pay.example.net' }]);
const mute = await issue('CN=Mute', {
  issuer: root,
  ca: true,
  extensions: [new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true)],
});
const listless = await issue('CN=Listless', {
  ca: true,
  extensions: [new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true)],
});
const client = await issue('CN=client', { issuer: root });

const faults = {
  'a critical extension that is not known': { client: await issue('CN=c', { issuer: root, extensions: [unknown] }) },
  'an RSA key of 1,024 bits': { client: await issue('CN=c', { issuer: root, keys: await newKeys(small) }) },
  'a name outside of a constraint': {
    client: await issue('CN=c', { issuer: narrow, extensions: [name] }),
    chain: [narrow],
  },
  'an authority that may not sign certificates': { client: await issue('CN=c', { issuer: mute }), chain: [mute] },
  'an authority that may not sign lists': {
    client: await issue('CN=c', { issuer: listless }),
    ca: [listless],
    crl: await list(listless),
  },
  'a list with a critical extension that is not known': { client, crl: await list(root, [unknown]) },
};
tell('nothing wrong', await judge({ client, crl: await list(root) }), 'authorized');
for (const [fault, circumstances] of Object.entries(faults)) tell(fault, await judge(circumstances), 'UNSPECIFIED');

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
