import { createHash, type X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { TlsFiles } from '../config/config.js';
import { readBounded } from '../config/read-bounded.js';
import { authoritiesOf } from './authorities.js';
import { listsInForce } from './lists-in-force.js';
import { pemOf } from './pem.js';
import { parseRevocationLists, type RevocationList } from './revocation-list.js';
import { serverCertificate } from './server-credentials.js';
import { tlsContext, type TlsContext } from './tls-options.js';
import { TrustMaterialError } from './trust-material-error.js';

/** What the listener shows and what it trusts: read together, validated together, used together. */
export interface TrustMaterial {
  readonly context: TlsContext;
  /** The service's own. */
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
  /** Those that count: see lists-in-force.ts. */
  readonly revocationLists: readonly RevocationList[];
  /** SHA-256 over the SHA-256 of the certificate's, the authorities' and the revocation lists' file, hexadecimal. */
  readonly digest: string;
}

const MAX_FILE_BYTES = 32 * 1_024 * 1_024;

/** The files that make up the trust material. */
export function trustFiles({ certFile, keyFile, caFile, crlFile, keyPassphraseFile }: TlsFiles): string[] {
  return [certFile, keyFile, caFile, crlFile, ...(keyPassphraseFile === undefined ? [] : [keyPassphraseFile])];
}

/**
 * Reads and validates the whole: what OpenSSL would take without a word and then refuse every caller by (an expired
 * list, a list of another authority, an authority without a list), is refused here, and OpenSSL gets nothing else than
 * what was validated.
 *
 * @param held what is in use: given back when the files say the same; no older revocation list replaces one of its
 *   lists, and what has ended in it already keeps nothing else from being replaced
 * @throws TrustMaterialError
 */
export async function readTrustMaterial(files: TlsFiles, now: Date, held?: TrustMaterial): Promise<TrustMaterial> {
  const [cert, key, ca, crl, secret] = await Promise.all([
    contentOf('CERT_FILE', files.certFile),
    contentOf('KEY_FILE', files.keyFile),
    contentOf('CA_FILE', files.caFile),
    contentOf('CRL_FILE', files.crlFile),
    files.keyPassphraseFile === undefined ? undefined : contentOf('KEY_PASSPHRASE_FILE', files.keyPassphraseFile),
  ]);
  const passphrase = secret?.toString('utf8').replace(/\r?\n$/, '');
  const digest = sha256(Buffer.concat([cert, ca, crl].map(sha256))).toString('hex');
  const sameKey = held !== undefined && key.equals(held.context.key) && passphrase === held.context.passphrase;
  if (sameKey && digest === held.digest) return held;
  const certificate = serverCertificate({ cert, key, passphrase }, now, held?.certificate);
  const authorities = authoritiesOf(ca);
  const revocationLists = await listsInForce({ authorities, revocationLists: await listsOf(crl) }, now, held);
  const trusted = { ca: Buffer.from(authorities.join('')), crl: Buffer.from(revocationLists.map(pemOfList).join('')) };
  const context = tlsContext({ cert, key, passphrase, ...trusted });
  demandUsable(context, held);
  return { context, certificate, authorities, revocationLists, digest };
}

async function contentOf(setting: string, path: string): Promise<Buffer> {
  try {
    return await readBounded(path, MAX_FILE_BYTES);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw TrustMaterialError.of(setting, code ?? message);
  }
}

const sha256 = (content: Buffer): Buffer => createHash('sha256').update(content).digest();

async function listsOf(pem: Buffer): Promise<RevocationList[]> {
  const lists = await parseRevocationLists(pem.toString('latin1')).catch((error: unknown) => {
    throw TrustMaterialError.of('CRL_FILE', `holds a list that cannot be used: ${(error as Error).message}`);
  });
  if (lists.length === 0) throw TrustMaterialError.of('CRL_FILE', 'holds no revocation list (PEM)');
  return lists;
}

const pemOfList = ({ der }: RevocationList): string => pemOf('X509 CRL', der);

/**
 * As OpenSSL sees them. In operation the revocation lists are left to the one step in which the server takes them,
 * which throws just so: OpenSSL parses a large one for a tenth of a second, in which nothing is answered.
 */
function demandUsable({ crl, ...context }: TlsContext, held: TrustMaterial | undefined): void {
  try {
    createSecureContext(held ? context : { ...context, crl });
  } catch (error) {
    throw new TrustMaterialError(`PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ${String(error)}`);
  }
}
