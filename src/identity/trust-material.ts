import { createHash, type X509Certificate } from 'node:crypto';
import type { TlsFiles } from '../config/config.js';
import { readBounded } from '../config/read-bounded.js';
import { parseAuthorities, hasPathToRoot } from './authorities.js';
import { findListFlaw, findList, type SelectedLists, selectLists } from './select-lists.js';
import { toPem } from '../x509/pem.js';
import { parseRevocationLists, type RevocationList } from '../x509/revocation-list.js';
import { readServerCertificate } from './server-credentials.js';
import type { ListedAuthority } from './trust-copy.js';
import { createTlsContext, type TlsContext } from './tls-options.js';
import { type Trial, tryHandshakes } from './trial-handshake.js';
import { TrustMaterialError } from './trust-material-error.js';

/**
 * The credentials that the listener presents and the authorities that it trusts. They are read, validated and used as a
 * whole.
 */
export interface TrustMaterial extends SelectedLists {
  readonly context: TlsContext;
  /** The service's own certificate. */
  readonly certificate: X509Certificate;
  /** Lower-case hexadecimal SHA-256 over the SHA-256 of the certificates, the CA file and the CRL file. */
  readonly digest: string;
  /** The most hours that a caller's certificate may live; undefined: every authority needs a revocation list. */
  readonly shortLivedHours?: number | undefined;
}

const MAX_FILE_BYTES = 32 * 1_024 * 1_024;

/** Lists the files of the trust material. */
export function listTrustFiles({ certFile, keyFile, caFile, crlFile, keyPassphraseFile }: TlsFiles): string[] {
  const files = [certFile, keyFile, caFile, crlFile, keyPassphraseFile];
  return [...new Set(files.filter((file) => file !== undefined))];
}

/**
 * Reads and validates the whole trust material. OpenSSL accepts some material silently and then refuses every caller:
 * an expired list, a list of another authority, an authority without a list. Rules of our own refuse these faults, and
 * a trial handshake finds any other of the kind. OpenSSL only gets validated material.
 *
 * With short-lived certificates an authority needs no list. OpenSSL gets none then, because it would refuse every caller
 * of an authority without one: peer-chain.ts applies the lists that there are.
 *
 * @param held the material in use. It is returned if the files have not changed. No older revocation list replaces one
 *   of its lists. A part of it that has already ended does not block the replacement of another part.
 * @throws TrustMaterialError
 */
export async function readTrustMaterial(files: TlsFiles, now: Date, held?: TrustMaterial): Promise<TrustMaterial> {
  const { shortLivedHours } = files;
  const [{ cert, key }, ca, crl, secret] = await Promise.all([
    readOwnFiles(files),
    readTrustFile('CA_FILE', files.caFile),
    files.crlFile === undefined ? undefined : readTrustFile('CRL_FILE', files.crlFile),
    files.keyPassphraseFile === undefined ? undefined : readTrustFile('KEY_PASSPHRASE_FILE', files.keyPassphraseFile),
  ]);
  const passphrase = secret?.toString('utf8').replace(/\r?\n$/, '');
  const digest = sha256(Buffer.concat([cert, ca, crl ?? Buffer.alloc(0)].map(sha256))).toString('hex');
  const sameKey = held !== undefined && key.equals(held.context.key) && passphrase === held.context.passphrase;
  if (sameKey && digest === held.digest) return held;
  const certificate = readServerCertificate({ cert, key, passphrase }, now, held?.certificate);
  const areListsRequired = shortLivedHours === undefined;
  const file = {
    authorities: parseAuthorities(ca, areListsRequired),
    revocationLists: crl ? await parseLists(crl) : [],
    areListsRequired,
  };
  const selected = await selectLists(file, now, held);
  const { authorities, revocationLists } = selected;
  const own = { cert, key, passphrase };
  await tryHandshakes(await planTrial(selected, now, areListsRequired), own);
  const trusted = {
    ca: Buffer.from(authorities.join('')),
    crl: areListsRequired ? Buffer.from(revocationLists.map(encodeList).join('')) : undefined,
  };
  return { context: createTlsContext({ ...own, ...trusted }), certificate, ...selected, digest, shortLivedHours };
}

/** Reads the service's certificates and its key. One file with both is read once, so that they belong together. */
async function readOwnFiles({ certFile, keyFile }: TlsFiles): Promise<{ cert: Buffer; key: Buffer }> {
  const cert = await readTrustFile('CERT_FILE', certFile);
  if (keyFile !== certFile) return { cert, key: await readTrustFile('KEY_FILE', keyFile) };
  const blocks = cert.toString('latin1').split(/(?=^-----BEGIN )/m);
  const take = (label: RegExp): Buffer => Buffer.from(blocks.filter((block) => label.test(block)).join(''), 'latin1');
  return { cert: take(/^-----BEGIN (?!.*PRIVATE KEY)/), key: take(/^-----BEGIN .*PRIVATE KEY/) };
}

async function readTrustFile(setting: string, path: string): Promise<Buffer> {
  try {
    return await readBounded(path, MAX_FILE_BYTES);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw TrustMaterialError.forSetting(setting, code === undefined ? message : `${code}: ${path}`);
  }
}

const sha256 = (content: Buffer): Buffer => createHash('sha256').update(content).digest();

async function parseLists(pem: Buffer): Promise<RevocationList[]> {
  const lists = await parseRevocationLists(pem.toString('latin1')).catch((error: unknown) => {
    throw TrustMaterialError.forSetting('CRL_FILE', `holds a list that cannot be used: ${(error as Error).message}`);
  });
  if (lists.length === 0) throw TrustMaterialError.forSetting('CRL_FILE', 'holds no revocation list (PEM)');
  return lists;
}

const encodeList = ({ der }: RevocationList): string => toPem('X509 CRL', der);

/**
 * Lists the authorities whose callers a new handshake must serve: each valid authority with a current list (if it needs
 * one), not revoked, and with a path of such authorities to a root.
 */
async function planTrial(lists: SelectedLists, now: Date, areListsRequired: boolean): Promise<Trial> {
  const authorities: ListedAuthority[] = [];
  for (const authority of lists.authorities) authorities.push({ authority, list: await findList(authority, lists) });
  const known = new Set(authorities.map(({ list }) => list));
  const isRevoked = (authority: X509Certificate): boolean =>
    authorities.some(
      ({ authority: issuer, list }) => authority.checkIssued(issuer) && list?.revokes(authority.serialNumber),
    );
  const serving = authorities.filter(
    ({ authority, list }) =>
      authority.validFromDate <= now &&
      now <= authority.validToDate &&
      (list ? findListFlaw(list, now) === undefined : !areListsRequired) &&
      !isRevoked(authority),
  );
  return {
    areListsRequired,
    authorities,
    otherLists: lists.revocationLists.filter((list) => !known.has(list)),
    mustServe: serving.filter(({ authority }) =>
      hasPathToRoot(
        authority,
        serving.map((other) => other.authority),
      ),
    ),
  };
}
