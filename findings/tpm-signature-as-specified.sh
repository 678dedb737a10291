#!/usr/bin/env bash
# The signature of a TPM statement, exactly as the specification says, is refused
#
# One would expect "sig" to be "in the form of a TPMT_SIGNATURE structure" (WebAuthn L3 §8.3, TPM 2.0 Part 2 §11.3.4):
#   the algorithm, the hash, and then the signature with its size.
# Instead, the library takes the bare signature alone, as Windows sends it and as W3C's own test vector in §16 has
#   it. An RSA signature in the structure gives `verified: false` without any error; an ECDSA signature in the structure
#   throws an error about ASN.1.
# Seen with: @simplewebauthn/server 14.0.3.
# Why it matters: specification and practice contradict each other here, and an authenticator that was written from the
#   specification fails at relying parties with a verdict that looks like a forgery.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact \
  @levischuck/tiny-cbor@0.2.11 @peculiar/x509@2.2.0 @simplewebauthn/server@14.0.3 cborg@6.1.5 \
  reflect-metadata@0.2.2 > /dev/null

cat > finding.mjs <<'JS'
import 'reflect-metadata';
import { KeyObject, createHash, generateKeyPairSync, sign, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { SettingsService, verifyRegistrationResponse } from '@simplewebauthn/server';
import { encode } from 'cborg';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('@simplewebauthn/server')}`);

const sha256 = (data) => createHash('sha256').update(data).digest();
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const id = Buffer.alloc(16, 7);
/** WebAuthn L3 §6.1 */
function authenticatorData(key, { aaguid = Buffer.alloc(16), outputs } = {}) {
  const flags = 0x05 | (key ? 0x40 : 0) | (outputs ? 0x80 : 0);
  const attested = key ? [aaguid, Buffer.from([0, id.length]), id, encode(key)] : [];
  return Buffer.concat([
    sha256('example.com'),
    Buffer.from([flags, 0, 0, 0, 0]),
    ...attested,
    outputs ?? Buffer.alloc(0),
  ]);
}
/** A COSE_Key of the type EC2 */
function ec2(publicKey, alg = -7, crv = 1) {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return new Map([
    [1, 2],
    [3, alg],
    [-1, crv],
    [-2, Buffer.from(x, 'base64url')],
    [-3, Buffer.from(y, 'base64url')],
  ]);
}
const clientData = (type) =>
  Buffer.from(JSON.stringify({ type, challenge: 'AAAA', origin: 'https://example.com', crossOrigin: false }));
const envelope = (response) => ({
  id: base64url(id),
  rawId: base64url(id),
  type: 'public-key',
  clientExtensionResults: {},
  response,
});
const expected = { expectedChallenge: 'AAAA', expectedOrigin: 'https://example.com', expectedRPID: 'example.com' };
/** "verified", "not verified", or the texts of the error and its causes. */
async function outcome(verification) {
  try {
    return (await verification).verified ? 'verified' : 'not verified';
  } catch (error) {
    const texts = [];
    for (let cause = error; cause; cause = cause.cause) texts.push(cause.message);
    return texts.join(' <- ');
  }
}

async function register(fmt, data, statement) {
  const client = clientData('webauthn.create');
  const attStmt = await statement(Buffer.concat([data, sha256(client)]), sha256(client));
  return verifyRegistrationResponse({
    ...expected,
    response: envelope({
      clientDataJSON: base64url(client),
      attestationObject: base64url(encode({ fmt, attStmt, authData: data })),
    }),
    supportedAlgorithmIDs: [-7, -8, -9, -19, -35, -36, -39, -47, -51, -257],
  });
}

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

const trust = (identifier, ...authorities) =>
  SettingsService.setRootCertificates({ identifier, certificates: authorities.map((authority) => authority.pem) });

function der(tag, ...parts) {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part)));
  const { length } = body;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag].flat()), Buffer.from(size), body]);
}

function oid(text) {
  const [first, second, ...rest] = text.split('.').map(Number);
  const septets = (n) => (n < 128 ? [n] : [...septets(n >> 7).map((septet) => septet | 128), n & 127]);
  return der(6, [first * 40 + second, ...rest.flatMap(septets)]);
}

const u16 = (n) => Buffer.from([n >> 8, n & 255]);
const sized = (bytes) => Buffer.concat([u16(bytes.length), bytes]);
const NULL = u16(0x0010);
/** TPMT_PUBLIC: TPM 2.0 Part 2 §12.2.4, with objectAttributes of a signing key, no policy and no symmetric algorithm */
const publicArea = (type, scheme, rest) =>
  Buffer.concat([u16(type), u16(0x000b), Buffer.from('00060472', 'hex'), u16(0), NULL, scheme, ...rest]);
const eccArea = (x, y, scheme = NULL) => publicArea(0x0023, scheme, [u16(0x0003), NULL, sized(x), sized(y)]);
/** TPMS_ATTEST of the type TPM_ST_ATTEST_CERTIFY */
function certifyInfo(extraData, area) {
  const name = Buffer.concat([u16(0x000b), sha256(area)]);
  const header = Buffer.from('ff5443478017', 'hex');
  return Buffer.concat([
    header,
    sized(Buffer.alloc(34)),
    sized(extraData),
    Buffer.alloc(25),
    sized(name),
    sized(Buffer.alloc(34)),
  ]);
}
const attribute = (type, value) => der(0x31, der(0x30, oid(type), der(0x0c, value)));
const directoryName = (manufacturer = 'id:49465800') =>
  der(
    0xa4,
    der(
      0x30,
      attribute('2.23.133.2.1', manufacturer),
      attribute('2.23.133.2.2', 'SLB'),
      attribute('2.23.133.2.3', 'id:0D'),
    ),
  );
const AIK = '2.23.133.8.3';
const names = (...generalNames) => new x509.Extension('2.5.29.17', true, der(0x30, ...generalNames));
const usages = (...purposes) => new x509.Extension('2.5.29.37', false, der(0x30, ...purposes.map(oid)));
const root = await issue('CN=TPM root', { ca: true });
trust('tpm', root);
/** WebAuthn L3 §8.3 */
async function attest({
  key,
  area,
  extensions = [names(directoryName()), usages(AIK)],
  keys,
  alg = -7,
  wrap = (sig) => sig,
}) {
  const aik = await issue('', { issuer: root, extensions, keys });
  return outcome(
    register('tpm', authenticatorData(key), (signed) => {
      const certInfo = certifyInfo(sha256(signed), area);
      const sig = wrap(sign('sha256', certInfo, aik.privateKey));
      return { ver: '2.0', alg, x5c: [aik.der], sig, certInfo, pubArea: area };
    }),
  );
}

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const coordinates = (publicKey) => {
  const { x, y } = publicKey.export({ format: 'jwk' });
  return [Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')];
};
const key = ec2(pair.publicKey);
const area = eccArea(...coordinates(pair.publicKey));

/** r and s of an ECDSA signature in DER */
function integers(signature) {
  const r = signature.subarray(4, 4 + signature[3]);
  const s = signature.subarray(6 + signature[3]);
  return [r, s].map((integer) => (integer[0] === 0 ? integer.subarray(1) : integer));
}
const ecdsa = (sig) => Buffer.concat([u16(0x0018), u16(0x000b), ...integers(sig).map(sized)]);
const rsassa = (sig) => Buffer.concat([u16(0x0014), u16(0x000b), sized(sig)]);
const rsa = () =>
  newKeys({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent: Buffer.from([1, 0, 1]) });

tell('RSA, bare', await attest({ key, area, keys: await rsa(), alg: -257 }), 'verified');
tell('RSA in TPMT_SIGNATURE', await attest({ key, area, keys: await rsa(), alg: -257, wrap: rsassa }), 'not verified');
tell('ECDSA, bare', await attest({ key, area }), 'verified');
tell(
  'ECDSA in TPMT_SIGNATURE',
  await attest({ key, area, wrap: ecdsa }),
  'Data does not match to ECDSASigValue ASN1 schema.',
);

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
