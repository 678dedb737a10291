import { duplexPair } from 'node:stream';
import { connect, createServer } from 'node:tls';
import { describeSubject } from './authorities.js';
import { copyTrust, type ListedAuthority } from './trust-copy.js';
import type { RevocationList } from '../x509/revocation-list.js';
import { createTlsContext, type TlsContext, type TlsFileContents } from './tls-options.js';
import { TrustMaterialError } from './trust-material-error.js';

/** The material to try. */
export interface Trial {
  /** False if OpenSSL gets no lists. By default true. */
  readonly areListsRequired?: boolean;
  readonly authorities: readonly ListedAuthority[];
  /** The lists of authorities that the file lacks. */
  readonly otherLists: readonly RevocationList[];
  /** The authorities whose callers must be served. */
  readonly mustServe: readonly ListedAuthority[];
}

/**
 * Makes handshakes with itself, in memory, as a caller of each authority. This finds material with which OpenSSL would
 * refuse every caller, before the material is used (docs/adr/0019-trial-handshake.md).
 *
 * @throws TrustMaterialError
 */
export async function tryHandshakes(
  { areListsRequired = true, authorities, otherLists, mustServe }: Trial,
  own: Omit<TlsFileContents, 'ca' | 'crl'>,
): Promise<void> {
  const copies = await copyTrust(authorities, otherLists).catch((error: unknown) => {
    throw TrustMaterialError.forAnySetting(error);
  });
  const crl = areListsRequired ? Buffer.from(copies.crl) : undefined;
  const server = createTrialServer(createTlsContext({ ...own, ca: Buffer.from(copies.ca), crl }));
  for (const listed of mustServe) {
    const refusal = await shakeHands(server, await copies.certify(listed));
    if (refusal === undefined) continue;
    const callers = `OpenSSL refuses every caller of ${describeSubject(listed.authority)}`;
    throw TrustMaterialError.forAnySetting(`${callers}: ${refusal}`);
  }
}

function createTrialServer(context: TlsContext): ReturnType<typeof createServer> {
  try {
    return createServer({ ...context, requestCert: true, rejectUnauthorized: true, handshakeTimeout: 10_000 });
  } catch (error) {
    throw TrustMaterialError.forAnySetting(error);
  }
}

/** The server's socket of a refused peer. It has no reason if the handshake itself failed. */
interface RefusedError {
  readonly authorizationError?: Error | string | null;
}

/** @returns why the server refused the caller; undefined if it did not */
async function shakeHands(
  server: ReturnType<typeof createServer>,
  caller: { readonly cert: string; readonly key: string },
): Promise<string | undefined> {
  const [serverSide, clientSide] = duplexPair();
  const { promise: refusal, resolve } = Promise.withResolvers<string | undefined>();
  const accepted = (): void => {
    resolve(undefined);
  };
  const refused = ({ code, message }: NodeJS.ErrnoException, socket: RefusedError): void => {
    resolve(String(socket.authorizationError ?? code ?? message));
  };
  server.once('secureConnection', accepted).once('tlsClientError', refused);
  const client = connect({ ...caller, socket: clientSide, rejectUnauthorized: false }).on('error', () => undefined);
  server.emit('connection', serverSide);
  try {
    return await refusal;
  } finally {
    server.off('secureConnection', accepted).off('tlsClientError', refused);
    client.destroy();
    serverSide.destroy();
  }
}
