import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { TlsFiles } from '../config/config.js';
import { parseRevocationLists, type RevocationList } from './revocation-list.js';
import { tlsContext, type TlsContext } from './tls-options.js';

/** What the listener shows and what it trusts: read together, validated together, used together. */
export interface TrustMaterial {
  readonly context: TlsContext;
  /** The service's own. */
  readonly certificate: X509Certificate;
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
  /** SHA-256 over certificate, authorities and revocation lists, hexadecimal. */
  readonly digest: string;
}

/** Files that the listener cannot use, with the setting that names the file at fault. */
export class TrustMaterialError extends Error {}

/** How far another machine's clock may be ahead: a list that was made this instant is no list of the future. */
const CLOCK_SKEW_MS = 300_000;
const MAX_FILE_BYTES = 32 * 1_024 * 1_024;
const PEM_CERTIFICATE =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g;
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

/** The files that make up the trust material. */
export function trustFiles({ certFile, keyFile, caFile, crlFile, keyPassphraseFile }: TlsFiles): string[] {
  return [certFile, keyFile, caFile, crlFile, ...(keyPassphraseFile === undefined ? [] : [keyPassphraseFile])];
}

/**
 * Reads and validates the whole: what OpenSSL would take without a word and then refuse every caller by (an expired
 * list, a list of another authority, an authority without a list), is refused here.
 *
 * @param held what is in use: given back when the files say the same; no older revocation list replaces one of its lists
 * @throws TrustMaterialError
 */
export async function readTrustMaterial(files: TlsFiles, now: Date, held?: TrustMaterial): Promise<TrustMaterial> {
  const [cert, key, ca, crl, passphrase] = await Promise.all([
    contentOf('CERT_FILE', files.certFile),
    contentOf('KEY_FILE', files.keyFile),
    contentOf('CA_FILE', files.caFile),
    contentOf('CRL_FILE', files.crlFile),
    files.keyPassphraseFile === undefined ? undefined : contentOf('KEY_PASSPHRASE_FILE', files.keyPassphraseFile),
  ]);
  const context = tlsContext({ cert, key, ca, crl, passphrase: passphrase?.toString('utf8').replace(/\r?\n$/, '') });
  const digest = [cert, ca, crl].reduce((hash, content) => hash.update(content), createHash('sha256')).digest('hex');
  if (held?.digest === digest && key.equals(held.context.key)) return held;
  const lists = { authorities: authoritiesOf(ca), revocationLists: revocationListsOf(crl) };
  demandUsable(context);
  const material = { context, digest, certificate: serverCertificate(cert, now), ...lists };
  await demandRevocation(material, now, held);
  return material;
}

async function contentOf(setting: string, path: string): Promise<Buffer> {
  try {
    const content = await readFile(path);
    if (content.length <= MAX_FILE_BYTES) return content;
  } catch (error) {
    throw mistake(setting, (error as NodeJS.ErrnoException).code ?? 'cannot be read');
  }
  throw mistake(setting, 'is too large');
}

function mistake(setting: string, problem: string): TrustMaterialError {
  return new TrustMaterialError(`PASSKEY_TLS_${setting}: ${problem}`);
}

/** As OpenSSL sees them: PEM that parses, a key that fits its certificate, a passphrase that opens it. */
function demandUsable(context: TlsContext): void {
  try {
    createSecureContext(context);
  } catch (error) {
    throw new TrustMaterialError(`PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ${String(error)}`);
  }
}

function serverCertificate(pem: Buffer, now: Date): X509Certificate {
  const certificate = new X509Certificate(pem);
  const { validFromDate, validToDate } = certificate;
  if (now > validToDate) throw mistake('CERT_FILE', `the certificate ended on ${validToDate.toISOString()}`);
  if (now.getTime() + CLOCK_SKEW_MS < validFromDate.getTime()) {
    throw mistake('CERT_FILE', `the certificate begins on ${validFromDate.toISOString()}`);
  }
  const usages = certificate.keyUsage as string[] | undefined;
  if (usages && !usages.includes(SERVER_AUTH)) throw mistake('CERT_FILE', 'extended key usage lacks serverAuth');
  return certificate;
}

function authoritiesOf(pem: Buffer): X509Certificate[] {
  const authorities = certificatesOf(pem);
  if (authorities.length === 0) throw mistake('CA_FILE', 'holds no certificate (PEM)');
  const leaf = authorities.find(({ ca }) => !ca);
  if (leaf) throw mistake('CA_FILE', `${describe(leaf)} is no certificate authority`);
  return authorities;
}

function certificatesOf(pem: Buffer): X509Certificate[] {
  try {
    return (pem.toString('latin1').match(PEM_CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
  } catch {
    throw mistake('CA_FILE', 'holds a certificate that cannot be parsed');
  }
}

function revocationListsOf(pem: Buffer): RevocationList[] {
  let lists: RevocationList[];
  try {
    lists = parseRevocationLists(pem.toString('latin1'));
  } catch {
    throw mistake('CRL_FILE', 'holds a list that cannot be parsed');
  }
  if (lists.length === 0) throw mistake('CRL_FILE', 'holds no revocation list (PEM)');
  return lists;
}

type Lists = Pick<TrustMaterial, 'authorities' | 'revocationLists'>;

/** OpenSSL refuses every certificate of an authority that has no current list, so none may lack one. */
async function demandRevocation(material: Lists, now: Date, held?: Lists): Promise<void> {
  for (const authority of material.authorities) {
    if (now > authority.validToDate) continue;
    const list = await listOf(authority, material);
    if (!list) throw mistake('CRL_FILE', `holds no list that ${describe(authority)} has signed`);
    if (!list.nextUpdate) throw mistake('CRL_FILE', `the list of ${describe(authority)} has no nextUpdate`);
    if (now > list.nextUpdate) {
      throw mistake('CRL_FILE', `the list of ${describe(authority)} ended on ${list.nextUpdate.toISOString()}`);
    }
    if (list.thisUpdate.getTime() > now.getTime() + CLOCK_SKEW_MS) {
      throw mistake('CRL_FILE', `the list of ${describe(authority)} begins on ${list.thisUpdate.toISOString()}`);
    }
    const before = held && (await listOf(authority, held));
    if (before && isOlder(list, before)) {
      throw mistake('CRL_FILE', `the list of ${describe(authority)} is older than the one in use`);
    }
  }
}

/** The newest list that an authority has signed. */
export async function listOf(
  authority: X509Certificate,
  { revocationLists }: Lists,
): Promise<RevocationList | undefined> {
  let newest: RevocationList | undefined;
  for (const list of revocationLists) {
    if ((await list.isOf(authority)) && (!newest || isOlder(newest, list))) newest = list;
  }
  return newest;
}

function isOlder(one: RevocationList, other: RevocationList): boolean {
  if (one.number !== undefined && other.number !== undefined && one.number !== other.number) {
    return one.number < other.number;
  }
  return one.thisUpdate < other.thisUpdate;
}

/** A certificate's subject, on one line. */
export function describe({ subject }: X509Certificate): string {
  return `"${subject.replaceAll('\n', ', ')}"`;
}
