import { createHash, type X509Certificate } from 'node:crypto';
import type { TlsFiles } from '../config/config.js';
import { readBounded } from '../config/read-bounded.js';
import { authoritiesOf, leadsToRoot } from './authorities.js';
import { flawOf, listOf, type ListsInForce, listsInForce } from './select-lists.js';
import { pemOf } from '../x509/pem.js';
import { parseRevocationLists, type RevocationList } from '../x509/revocation-list.js';
import { serverCertificate } from './server-credentials.js';
import type { ListedAuthority } from './trust-copy.js';
import { tlsContext, type TlsContext } from './tls-options.js';
import { type Trial, tryHandshakes } from './trial-handshake.js';
import { TrustMaterialError } from './trust-material-error.js';

/**
 * The credentials that the listener presents and the authorities that it trusts. They are read, validated and used as a
 * whole.
 */
export interface TrustMaterial extends ListsInForce {
  readonly context: TlsContext;
  /** The service's own certificate. */
  readonly certificate: X509Certificate;
  /** Lower-case hexadecimal SHA-256 over the SHA-256 of the certificate file, the CA file and the CRL file. */
  readonly digest: string;
}

const MAX_FILE_BYTES = 32 * 1_024 * 1_024;

/** Lists the files of the trust material. */
export function trustFiles({ certFile, keyFile, caFile, crlFile, keyPassphraseFile }: TlsFiles): string[] {
  return [certFile, keyFile, caFile, crlFile, ...(keyPassphraseFile === undefined ? [] : [keyPassphraseFile])];
}

/**
 * Reads and validates the whole trust material. OpenSSL accepts some material silently and then refuses every caller:
 * an expired list, a list of another authority, an authority without a list. Rules of our own refuse these faults, and
 * a trial handshake finds any other of the kind. OpenSSL only gets validated material.
 *
 * @param held the material in use. It is returned if the files have not changed. No older revocation list replaces one
 *   of its lists. A part of it that has already ended does not block the replacement of another part.
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
  const file = { authorities: authoritiesOf(ca), revocationLists: await listsOf(crl) };
  const inForce = await listsInForce(file, now, held);
  const { authorities, revocationLists } = inForce;
  await tryHandshakes(await trialOf(inForce, now), { cert, key, passphrase });
  const trusted = { ca: Buffer.from(authorities.join('')), crl: Buffer.from(revocationLists.map(pemOfList).join('')) };
  return { context: tlsContext({ cert, key, passphrase, ...trusted }), certificate, ...inForce, digest };
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
 * Lists the authorities whose callers a new handshake must serve: each valid authority with a current list, not
 * revoked, and with a path of such authorities to a root.
 */
async function trialOf(lists: ListsInForce, now: Date): Promise<Trial> {
  const authorities: ListedAuthority[] = [];
  for (const authority of lists.authorities) authorities.push({ authority, list: await listOf(authority, lists) });
  const known = new Set(authorities.map(({ list }) => list));
  const isRevoked = (authority: X509Certificate): boolean =>
    authorities.some(
      ({ authority: issuer, list }) => authority.checkIssued(issuer) && list?.revokes(authority.serialNumber),
    );
  const serving = authorities.filter(
    ({ authority, list }) =>
      authority.validFromDate <= now &&
      now <= authority.validToDate &&
      list &&
      flawOf(list, now) === undefined &&
      !isRevoked(authority),
  );
  return {
    authorities,
    otherLists: lists.revocationLists.filter((list) => !known.has(list)),
    mustServe: serving.filter(({ authority }) =>
      leadsToRoot(
        authority,
        serving.map((other) => other.authority),
      ),
    ),
  };
}
