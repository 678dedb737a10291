#!/usr/bin/env bash
# A revocation list with a distribution point works only where the root names that point, too
#
# One would expect a complete list with an issuing distribution point (RFC 5280 §5.2.5; some private authorities write
#   it into each list, to keep partitions apart) to serve the certificates which name the same point in their
#   cRLDistributionPoints. Path validation (§6.1) does not ask whether the trust anchor itself is revoked.
# Instead, with the option `crl`, Node.js asks for the revocation of each certificate of the path, the self-signed
#   root included. A root names no distribution point, so the list is out of its scope, and every client is refused with
#   UNABLE_TO_GET_CRL, although the list is there and covers the client. The same list is taken when the root names the
#   point as well, and so is a list without the extension.
# Seen with: Node.js 26.10.0 with OpenSSL 3.5.8 (npm package node@26.10.0); certificates made by @peculiar/x509 2.2.0.
# Why it matters: the list of an authority that is trusted directly is unusable, and the error says that it is missing.
#   An authority that switches to partitioned lists locks all callers out of a service over mutual TLS.
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

const POINT = 'http://lists.example/1.crl';
const names = new x509.CRLDistributionPointsExtension([POINT]);
const issuing = new x509.Extension('2.5.29.28', true, der(0x30, der(0xa0, der(0xa0, der(0x86, POINT)))));
const naming = await issue('CN=Root that names the point', { ca: true, extensions: [names] });
const client = await issue('CN=client', { issuer: root, extensions: [names] });
const another = await issue('CN=client', { issuer: naming, extensions: [names] });

tell('a list without a distribution point', await judge({ client, crl: await list(root) }), 'authorized');
tell(
  'a list with the point that the client names',
  await judge({ client, crl: await list(root, [issuing]) }),
  'UNABLE_TO_GET_CRL',
);
tell(
  'the same, where the root names it, too',
  await judge({ client: another, ca: [naming], crl: await list(naming, [issuing]) }),
  'authorized',
);

process.exitCode = changed ? 1 : 0;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning finding.mjs
