/**
 * The floor: what any service on this stack pays for an authentication before it does anything. The same listener (Node,
 * Fastify, mutual TLS 1.3), two requests with an ES256 verification between them; no database, no Nest, no checks.
 *
 * Arguments: the directory of the development PKI. The first line of its output is its URL.
 */
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Fastify from 'fastify';
import { tlsContext, tlsOptions } from '../src/identity/tls-options.js';

const pki = process.argv[2]!;
const file = (name: string) => readFileSync(join(pki, name));
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const key = createPublicKey(publicKey.export({ type: 'spki', format: 'pem' }));
const data = Buffer.alloc(69, 1);
const signature = sign('sha256', data, privateKey);

const app = Fastify({
  https: tlsOptions(
    tlsContext({ cert: file('server.crt'), key: file('server.key'), ca: file('ca.crt'), crl: file('ca.crl') }),
  ),
});
app.post('/v1/challenges/authentication', () => ({ challengeId: 'floor', publicKey: {} }));
app.post('/v1/credentials/verify', () => ({ verified: verify('sha256', data, key, signature) }));
console.log(await app.listen({ host: '127.0.0.1', port: 0 }));
process.on('SIGTERM', () => process.exit(0));
