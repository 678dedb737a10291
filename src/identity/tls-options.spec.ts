import 'reflect-metadata';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { X509Certificate as NodeCertificate, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TlsFiles } from '../config/config.js';
import { DevelopmentCa } from '../../dev/development-ca.js';
import { prepareDevelopment } from '../../dev/prepare-development.js';
import { createTlsContext, createTlsOptions } from './tls-options.js';

let directory: string;

const pki = (name: string): string => join(directory, 'pki', name);
const read = (name: string): string => readFileSync(pki(name), 'utf8');
type Files = Required<Pick<TlsFiles, 'certFile' | 'keyFile' | 'caFile'>> & { crlFile: string };
const files = (changed: Partial<Files> = {}): Files => ({
  certFile: pki('server.crt'),
  keyFile: pki('server.key'),
  caFile: pki('ca.crt'),
  crlFile: pki('ca.crl'),
  ...changed,
});
const options = (changed: Partial<Files> = {}): ReturnType<typeof createTlsOptions> => {
  const { certFile, keyFile, caFile, crlFile } = files(changed);
  const [cert, key, ca, crl] = [certFile, keyFile, caFile, crlFile].map((file) => readFileSync(file)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ];
  return createTlsOptions(createTlsContext({ cert, key, ca, crl }));
};
const authService = (): ConnectionOptions => ({ cert: read('auth-service.crt'), key: read('auth-service.key') });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-'));
  await prepareDevelopment(directory);
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Connected {
  readonly socket: TLSSocket;
  readonly session: Buffer | undefined;
}

/**
 * Connects as a client as often as asked, and waits for each answer: in TLS 1.3, a refusal comes after the handshake.
 */
async function handshake(
  client: ConnectionOptions,
  changed: Partial<Files> = {},
  again: (first: Connected) => ConnectionOptions[] = () => [],
): Promise<Connected> {
  let refusal = 'closed without an answer';
  const server = createServer(options(changed), (_request, response) => response.end('hello'));
  server.on(
    'tlsClientError',
    ({ code }: NodeJS.ErrnoException, socket: { authorizationError?: Error | string | null }) => {
      refusal = String(socket.authorizationError ?? code ?? refusal);
    },
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const exchange = (options: ConnectionOptions): Promise<Connected> =>
    new Promise((resolve, reject) => {
      let session: Buffer | undefined;
      const socket = connect({ host: '127.0.0.1', port, ca: read('ca.crt'), servername: 'localhost', ...options });
      socket.on('session', (ticket: Buffer) => (session = ticket)).on('error', reject);
      socket.on('data', () => {
        resolve({ socket, session });
      });
      socket.on('close', () => {
        reject(new Error(refusal));
      });
      socket.write('GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    });
  try {
    let last = await exchange(client);
    for (const options of again(last)) last = await exchange(options);
    return last;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('the listener', () => {
  it('serves a caller with a certificate of its authority by TLS 1.3 and HTTP/1.1', async () => {
    const { socket } = await handshake({ ...authService(), ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(socket.alpnProtocol).toBe('http/1.1');
    expect(socket.authorized).toBe(true);
  });

  it('prefers a key exchange that a quantum computer does not break', async () => {
    const { socket } = await handshake({ ...authService(), ecdhCurve: 'X25519MLKEM768' });
    expect(socket.getProtocol()).toBe('TLSv1.3');
    expect(options().ecdhCurve?.split(':')[0]).toBe('X25519MLKEM768');
  });

  it('gives a handshake ten seconds, and headers 16 KiB', () => {
    expect(options()).toMatchObject({ handshakeTimeout: 10_000, maxHeaderSize: 16_384 });
  });

  it('leaves a request without a host to the application, which answers a problem', () => {
    expect(options().requireHostHeader).toBe(false);
  });

  it('still has a classical key exchange for clients that know no other', async () => {
    const { socket } = await handshake({ ...authService(), ecdhCurve: 'P-256' });
    expect(socket.getProtocol()).toBe('TLSv1.3');
  });

  it('resumes no session, because it would outlive its certificate', async () => {
    const client = authService();
    const { socket } = await handshake(client, {}, ({ session }) => {
      expect(session).toBeDefined();
      return [{ ...client, session }];
    });
    expect(socket.isSessionReused()).toBe(false);
  });

  it('resumes no session for a client that leaves its certificate out', async () => {
    await expect(handshake(authService(), {}, ({ session }) => [{ session }])).rejects.toThrow();
  });

  it.each<[string, () => ConnectionOptions]>([
    ['a caller without a certificate', () => ({})],
    ['TLS 1.2', () => ({ ...authService(), maxVersion: 'TLSv1.2' })],
    ['HTTP/2 alone', () => ({ ...authService(), ALPNProtocols: ['h2'] })],
    ['a key exchange that it does not know', () => ({ ...authService(), ecdhCurve: 'P-521' })],
  ])('refuses %s', async (_, client) => {
    await expect(handshake(client())).rejects.toThrow();
  });

  it('refuses a caller whose certificate another authority of the same name made', async () => {
    const { certificatePem, keyPem } = await (
      await DevelopmentCa.create()
    ).issueService('spiffe://passkey-manager.local/auth-service');
    await expect(handshake({ cert: certificatePem, key: keyPem })).rejects.toThrow();
  });
});

describe('revocation', () => {
  const authority = (): Promise<DevelopmentCa> => DevelopmentCa.load(read('ca.crt'), read('ca.key'));
  const write = (name: string, content: string): string => {
    writeFileSync(pki(name), content);
    return pki(name);
  };

  it('refuses a caller whose certificate is on the list, and no other', async () => {
    const { serialNumber } = new NodeCertificate(read('auth-service.crt'));
    const crlFile = write('revoked.crl', await (await authority()).issueRevocationList([serialNumber]));
    await expect(handshake(authService(), { crlFile })).rejects.toThrow('CERT_REVOKED');
    const { socket } = await handshake({ cert: read('operator.crt'), key: read('operator.key') }, { crlFile });
    expect(socket.authorized).toBe(true);
  });

  it('refuses every caller when the list has expired: it fails closed', async () => {
    x509.cryptoProvider.set(webcrypto);
    const ES256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
    const key = x509.PemConverter.decodeFirst(read('ca.key'));
    const crl = await x509.X509CrlGenerator.create({
      issuer: new x509.X509Certificate(read('ca.crt')).subject,
      thisUpdate: new Date(Date.now() - 2_000_000),
      nextUpdate: new Date(Date.now() - 1_000_000),
      signingAlgorithm: ES256,
      signingKey: await webcrypto.subtle.importKey('pkcs8', key, ES256, false, ['sign']),
    });
    const crlFile = write('expired.crl', x509.PemConverter.encode(crl.rawData, 'X509 CRL'));
    await expect(handshake(authService(), { crlFile })).rejects.toThrow('CRL_HAS_EXPIRED');
  });

  it('refuses every caller when the list is another authority’s', async () => {
    const crlFile = write('other.crl', await (await DevelopmentCa.create()).issueRevocationList());
    await expect(handshake(authService(), { crlFile })).rejects.toThrow();
  });
});
