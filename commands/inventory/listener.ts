import { duplexPair } from 'node:stream';
import { type ConnectionOptions, connect, createServer, getCiphers, type Server, type SecureVersion } from 'node:tls';
import { type TlsContext, createTlsOptions } from '../../src/identity/tls-options.js';
import { type PostQuantum, classifyPostQuantum } from './algorithms.js';

export interface Offer {
  readonly name: string;
  readonly postQuantum: PostQuantum;
}

/** The offers of the listener, each list in its own order of preference. */
export interface ListenerOffers {
  readonly protocols: readonly string[];
  readonly cipherSuites: readonly Offer[];
  readonly keyExchange: readonly Offer[];
  /** The algorithms that callers may use to prove possession of their key, and that may sign their certificates. */
  readonly signatures: readonly Offer[];
  readonly alpn: readonly string[];
}

const PROTOCOLS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const EVERY_SUITE = 'ALL:@SECLEVEL=0';
/** Groups that OpenSSL knows and a misconfiguration could offer, beside those of the context. */
const GROUPS = [
  ...['SecP256r1MLKEM768', 'SecP384r1MLKEM1024', 'MLKEM512', 'MLKEM768', 'MLKEM1024', 'X448', 'P-521'],
  ...['brainpoolP256r1tls13', 'brainpoolP384r1tls13', 'ffdhe2048', 'ffdhe3072', 'ffdhe4096'],
];

/**
 * Finds what the listener offers by handshakes in memory. It opens no port, so no other client meets a listener that
 * demands no certificate.
 */
export async function probeOffers(context: TlsContext): Promise<ListenerOffers> {
  const server = createServer({ ...createTlsOptions(context), rejectUnauthorized: false });
  const protocols: string[] = [];
  const cipherSuites: string[] = [];
  for (const version of PROTOCOLS) {
    const client = { minVersion: version, maxVersion: version };
    if (!(await tryHandshake(server, { ...client, ciphers: EVERY_SUITE }))) continue;
    protocols.push(version);
    cipherSuites.push(...(await probeCipherSuites(server, client)));
  }
  const keyExchange: string[] = [];
  for (const group of new Set([...context.ecdhCurve.split(':'), ...GROUPS])) {
    if (await tryHandshake(server, { ecdhCurve: group })) keyExchange.push(group);
  }
  const { signatures = [] } = (await tryHandshake(server, {})) ?? {};
  return {
    protocols,
    cipherSuites: cipherSuites.map(toOffer),
    keyExchange: keyExchange.map(toOffer),
    signatures: signatures.map(toOffer),
    alpn: createTlsOptions(context).ALPNProtocols as string[],
  };
}

function toOffer(name: string): Offer {
  return { name, postQuantum: classifyPostQuantum(name) };
}

/** Offers all remaining suites again and again: each time, the server chooses the one that it prefers. */
async function probeCipherSuites(server: Server, client: ConnectionOptions): Promise<string[]> {
  let left = getCiphers().map((name) => name.toUpperCase());
  const chosen: string[] = [];
  for (;;) {
    const agreed = await tryHandshake(server, { ...client, ciphers: `${left.join(':')}:@SECLEVEL=0` });
    if (!agreed) return chosen;
    chosen.push(agreed.cipherSuite);
    left = left.filter((name) => name !== agreed.cipherSuite);
  }
}

interface Agreed {
  /** The name that OpenSSL gives it. */
  readonly cipherSuite: string;
  readonly signatures: string[];
}

/** @returns undefined if the two do not agree */
async function tryHandshake(server: Server, client: ConnectionOptions): Promise<Agreed | undefined> {
  const [here, there] = duplexPair();
  const { promise, resolve } = Promise.withResolvers<Agreed | undefined>();
  server.once('secureConnection', (socket) => {
    const signatures = new Set(socket.getSharedSigalgs().map(formatSignatureName));
    resolve({ cipherSuite: socket.getCipher().name, signatures: [...signatures] });
  });
  server.once('tlsClientError', () => {
    resolve(undefined);
  });
  try {
    const caller = connect({ socket: there, rejectUnauthorized: false, ...client });
    caller.on('error', () => setTimeout(resolve, PATIENCE_MS, undefined));
    server.emit('connection', here);
    return await promise;
  } catch {
    return undefined;
  } finally {
    server.removeAllListeners('tlsClientError').removeAllListeners('secureConnection');
    here.destroy();
    there.destroy();
  }
}

/** Milliseconds. A client that gives up before its first message leaves the server waiting. */
const PATIENCE_MS = 20;

/** Turns `id-ml-dsa-65+UNDEF` into `ML-DSA-65` and leaves `ECDSA+SHA256` as it is. */
function formatSignatureName(name: string): string {
  return name.replace('+UNDEF', '').replace(/^id-ml-dsa-/, 'ML-DSA-');
}
