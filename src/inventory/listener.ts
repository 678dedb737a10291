import { duplexPair } from 'node:stream';
import { type ConnectionOptions, connect, createServer, getCiphers, type Server, type SecureVersion } from 'node:tls';
import { type TlsContext, tlsOptions } from '../identity/tls-options.js';
import { type PostQuantum, postQuantumOf } from './post-quantum.js';

export interface Offer {
  readonly name: string;
  readonly postQuantum: PostQuantum;
}

/** What the listener agrees to, each in its own order of preference. */
export interface ListenerOffers {
  readonly protocols: readonly string[];
  readonly cipherSuites: readonly Offer[];
  readonly keyExchange: readonly Offer[];
  /** By which callers may prove that they hold their key, and by which their certificates may be signed. */
  readonly signatures: readonly Offer[];
  readonly alpn: readonly string[];
}

const PROTOCOLS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const EVERY_SUITE = 'ALL:@SECLEVEL=0';
/** Beside those that the context names: what OpenSSL knows and a misconfiguration could offer. */
const GROUPS = [
  ...['SecP256r1MLKEM768', 'SecP384r1MLKEM1024', 'MLKEM512', 'MLKEM768', 'MLKEM1024', 'X448', 'P-521'],
  ...['brainpoolP256r1tls13', 'brainpoolP384r1tls13', 'ffdhe2048', 'ffdhe3072', 'ffdhe4096'],
];

/** Asks it by handshakes, in memory: no port is opened, so that nobody else meets a listener that wants no certificate. */
export async function offersOf(context: TlsContext): Promise<ListenerOffers> {
  const server = createServer({ ...tlsOptions(context), rejectUnauthorized: false });
  const protocols: string[] = [];
  const cipherSuites: string[] = [];
  for (const version of PROTOCOLS) {
    const client = { minVersion: version, maxVersion: version };
    if (!(await handshake(server, { ...client, ciphers: EVERY_SUITE }))) continue;
    protocols.push(version);
    cipherSuites.push(...(await cipherSuitesOf(server, client)));
  }
  const keyExchange: string[] = [];
  for (const group of new Set([...context.ecdhCurve.split(':'), ...GROUPS])) {
    if (await handshake(server, { ecdhCurve: group })) keyExchange.push(group);
  }
  const { signatures = [] } = (await handshake(server, {})) ?? {};
  return {
    protocols,
    cipherSuites: cipherSuites.map(offer),
    keyExchange: keyExchange.map(offer),
    signatures: signatures.map(offer),
    alpn: tlsOptions(context).ALPNProtocols as string[],
  };
}

function offer(name: string): Offer {
  return { name, postQuantum: postQuantumOf(name) };
}

/** The server chooses: asked for all that are left, it names the one that it prefers. */
async function cipherSuitesOf(server: Server, client: ConnectionOptions): Promise<string[]> {
  let left = getCiphers().map((name) => name.toUpperCase());
  const chosen: string[] = [];
  for (;;) {
    const agreed = await handshake(server, { ...client, ciphers: `${left.join(':')}:@SECLEVEL=0` });
    if (!agreed) return chosen;
    chosen.push(agreed.cipherSuite);
    left = left.filter((name) => name !== agreed.cipherSuite);
  }
}

interface Agreed {
  /** As OpenSSL names it. */
  readonly cipherSuite: string;
  readonly signatures: string[];
}

/** @returns undefined where the two do not come together */
async function handshake(server: Server, client: ConnectionOptions): Promise<Agreed | undefined> {
  const [here, there] = duplexPair();
  const { promise, resolve } = Promise.withResolvers<Agreed | undefined>();
  server.once('secureConnection', (socket) => {
    const signatures = new Set(socket.getSharedSigalgs().map(signatureName));
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

/** A caller that gives up before it has said a word leaves the listener waiting. */
const PATIENCE_MS = 20;

/** `id-ml-dsa-65+UNDEF` is ML-DSA-65, `ECDSA+SHA256` stays. */
function signatureName(name: string): string {
  return name.replace('+UNDEF', '').replace(/^id-ml-dsa-/, 'ML-DSA-');
}
