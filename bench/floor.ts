/**
 * The floor: what any service on this stack pays for an authentication before it does anything. The same listener (Node,
 * Fastify, mutual TLS 1.3), two requests with an ES256 verification between them; no database, no Nest, no checks.
 *
 * Arguments: the directory of the development PKI. The first line of its output is its URL.
 */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { join } from 'node:path';
import Fastify from 'fastify';
import { tlsOptions } from '../src/identity/tls-options.js';

const pki = process.argv[2]!;
const file = (name: string) => join(pki, name);
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }));
const data = Buffer.alloc(69, 1);
const signature = sign('sha256', data, privateKey);

const app = Fastify({
  https: tlsOptions({
    certFile: file('server.crt'),
    keyFile: file('server.key'),
    caFile: file('ca.crt'),
    crlFile: file('ca.crl'),
  }),
});
app.post('/v1/challenges/authentication', () => ({ challengeId: 'floor', publicKey: {} }));
app.post('/v1/credentials/verify', () => ({ verified: verify('sha256', data, key, signature) }));
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
process.on('SIGTERM', () => process.exit(0));
