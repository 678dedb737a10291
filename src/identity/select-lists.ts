import type { X509Certificate } from 'node:crypto';
import { canSignLists, describeSubject } from './authorities.js';
import { describeName, isKeyOf, readDistinguishedNames } from '../x509/authority-key.js';
import type { RevocationList } from '../x509/revocation-list.js';
import { TrustMaterialError } from './trust-material-error.js';

export interface Lists {
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
}

/** The authorities and the revocation lists in a CA and a CRL file. */
export interface ReadLists extends Lists {
  /** False if an authority needs no list. A list that is there must be usable all the same. By default true. */
  readonly areListsRequired?: boolean;
}

/** The authorities and revocation lists that the service uses, out of a CA and a CRL file. */
export interface SelectedLists extends Lists {
  /** The newest list of each authority since the start, used or not. No older list may follow it. */
  readonly newest: readonly RevocationList[];
}

/**
 * Chooses the revocation lists to use: the newest list of each authority that has not ended, and the newest list of
 * each authority that the file lacks, such as an intermediate, whose signatures we cannot verify here.
 *
 * OpenSSL refuses every certificate of an authority if it finds no current list for it, or takes a list for it that
 * another key signed. So each authority must have its own list, unless lists are not required. If the list of one
 * authority ends in operation, a new list of another authority is still accepted.
 *
 * @param held the material in use
 * @throws TrustMaterialError
 */
export async function selectLists(material: ReadLists, now: Date, held?: SelectedLists): Promise<SelectedLists> {
  const authorities = await removeUnlistedEditions(material, now);
  const living = authorities.filter((authority) => hasNotEnded(authority, now));
  if (living.length === 0) throw TrustMaterialError.forSetting('CA_FILE', 'every authority has ended');
  const lists = new Set(await selectForeignLists(material, held?.newest ?? []));
  for (const authority of living) {
    const list = await requireCurrentList(authority, material, now, held);
    if (list) lists.add(list);
  }
  const revocationLists = [...lists];
  for (const authority of living) await requireOwnList(authority, revocationLists);
  const newest = [...revocationLists, ...(await keepUnfollowed(held?.newest ?? [], authorities, revocationLists))];
  return { authorities, revocationLists, newest };
}

/** Returns true if a list may belong to an authority that still has callers. */
export function isListInUse({ issuer }: RevocationList, authorities: readonly X509Certificate[], now: Date): boolean {
  const named = authorities.filter((authority) => readDistinguishedNames(authority).subject === issuer);
  return named.length === 0 || named.some((authority) => hasNotEnded(authority, now));
}

const hasNotEnded = ({ validToDate }: X509Certificate, now: Date): boolean => now <= validToDate;

/**
 * Leaves out an edition of an authority's certificate if the list names another edition with the same name and key, by
 * issuer and serial number. OpenSSL would apply the list to the named edition only, and may choose either one for a
 * caller's path.
 */
async function removeUnlistedEditions(material: Lists, now: Date): Promise<X509Certificate[]> {
  const listed = new Set<X509Certificate>();
  for (const authority of material.authorities) if (await findList(authority, material)) listed.add(authority);
  const hasListedEdition = (authority: X509Certificate): boolean =>
    [...listed].some((other) => hasNotEnded(other, now) && isSameAuthority(other, authority));
  return material.authorities.filter((authority) => listed.has(authority) || !hasListedEdition(authority));
}

function isSameAuthority(one: X509Certificate, other: X509Certificate): boolean {
  return (
    readDistinguishedNames(one).subject === readDistinguishedNames(other).subject &&
    one.publicKey.equals(other.publicKey)
  );
}

/** Finds the newest list of each authority that the file lacks, by names and key identifiers. */
async function selectForeignLists(
  { authorities, revocationLists }: Lists,
  before: readonly RevocationList[],
): Promise<RevocationList[]> {
  const newest: RevocationList[] = [];
  for (const list of revocationLists) {
    if (await isSignedByAuthority(list, authorities)) continue;
    if (before.some((other) => haveSameIssuer(list, other) && isOlder(list, other))) {
      const signer =
        'if the list in use is not genuine, add the authority to PASSKEY_TLS_CA_FILE so that signatures decide';
      throw toCrlFileError(`the list of ${describeName(list.issuer)} is older than the one in use; ${signer}`);
    }
    const known = newest.findIndex((other) => haveSameIssuer(list, other));
    if (known < 0) newest.push(list);
    else if (isOlder(newest[known]!, list)) newest[known] = list;
  }
  return newest;
}

function haveSameIssuer(one: RevocationList, other: RevocationList): boolean {
  const [key, otherKey] = [one.authorityKey?.keyId, other.authorityKey?.keyId];
  return one.issuer === other.issuer && (key === undefined || otherKey === undefined || key === otherKey);
}

/** Keeps the earlier lists that no list in use follows. */
async function keepUnfollowed(
  before: readonly RevocationList[],
  authorities: readonly X509Certificate[],
  inUse: readonly RevocationList[],
): Promise<RevocationList[]> {
  const kept: RevocationList[] = [];
  for (const list of before) {
    const signers: X509Certificate[] = [];
    for (const authority of authorities) if (await list.isSignedBy(authority)) signers.push(authority);
    const isFollowed =
      signers.length > 0
        ? (await Promise.all(signers.map((authority) => findList(authority, { revocationLists: inUse })))).some(Boolean)
        : inUse.some((other) => haveSameIssuer(list, other));
    if (!isFollowed) kept.push(list);
  }
  return kept;
}

async function requireCurrentList(
  authority: X509Certificate,
  material: ReadLists,
  now: Date,
  held: SelectedLists | undefined,
): Promise<RevocationList | undefined> {
  const list = await findList(authority, material);
  const before = held && (await findNewestSignedBy(authority, held.newest));
  if (material.areListsRequired === false) {
    const listed = list ?? before ?? (await findNewestSignedBy(authority, material.revocationLists));
    if (!listed) return undefined;
    if (!canSignLists(authority)) throw toCrlFileError(`${describeSubject(authority)} may not sign revocation lists`);
  }
  const flaw = list ? findListFlaw(list, now) : await explainMissing(authority, material);
  const wasFlawed = before !== undefined && findListFlaw(before, now) !== undefined && isHeldAuthority(authority, held);
  if (flaw !== undefined && !wasFlawed) throw toCrlFileError(`the list of ${describeSubject(authority)} ${flaw}`);
  if (list && before && isOlder(list, before)) {
    throw toCrlFileError(`the list of ${describeSubject(authority)} is older than the one in use`);
  }
  return list;
}

function isHeldAuthority(authority: X509Certificate, held: Lists | undefined): boolean {
  return held?.authorities.some(({ raw }) => raw.equals(authority.raw)) ?? false;
}

/** Explains why OpenSSL would apply no list to the certificates of an authority. */
async function explainMissing(authority: X509Certificate, { revocationLists }: Lists): Promise<string> {
  const signed = await findNewestSignedBy(authority, revocationLists);
  if (!signed) return 'is missing';
  const { keyId } = signed.authorityKey ?? {};
  if (keyId !== undefined && !isKeyOf({ keyId, issuer: undefined, serialNumber: undefined }, authority)) {
    return 'names another key as its authority’s (authority key identifier)';
  }
  return 'names another certificate of its authority, by issuer and serial number (authority key identifier): keep that certificate in PASSKEY_TLS_CA_FILE until a list names the new one, or none';
}

/**
 * Refuses a list that OpenSSL would take for the authority's although another key signed it. OpenSSL chooses a list by
 * names and key identifiers only, and then refuses its signature.
 */
async function requireOwnList(authority: X509Certificate, lists: readonly RevocationList[]): Promise<void> {
  for (const list of lists) {
    if (!list.appliesTo(authority) || (await list.isSignedBy(authority))) continue;
    const cause = 'their lists must have authority key identifiers';
    throw toCrlFileError(`two authorities have the name ${describeSubject(authority)}: ${cause}`);
  }
}

/** Finds the newest list that the authority signed and that OpenSSL applies to its certificates. */
export async function findList(
  authority: X509Certificate,
  { revocationLists }: Pick<Lists, 'revocationLists'>,
): Promise<RevocationList | undefined> {
  return findNewestSignedBy(
    authority,
    revocationLists.filter((list) => list.appliesTo(authority)),
  );
}

/** Finds the lists that the authority's key signed under its name, for any edition of its certificate. */
export async function findListsSignedBy(
  authority: X509Certificate,
  { revocationLists }: Pick<Lists, 'revocationLists'>,
): Promise<RevocationList[]> {
  const signed: RevocationList[] = [];
  for (const list of revocationLists) if (await list.isSignedBy(authority)) signed.push(list);
  return signed;
}

async function findNewestSignedBy(
  authority: X509Certificate,
  revocationLists: readonly RevocationList[],
): Promise<RevocationList | undefined> {
  const [first, ...others] = await findListsSignedBy(authority, { revocationLists });
  return others.reduce((newest, list) => (newest && isOlder(newest, list) ? list : newest), first);
}

/** @returns false if no authority in the file has the name in the list */
async function isSignedByAuthority(list: RevocationList, authorities: readonly X509Certificate[]): Promise<boolean> {
  const named = authorities.filter((authority) => readDistinguishedNames(authority).subject === list.issuer);
  for (const authority of named) if (await list.isSignedBy(authority)) return true;
  if (named[0]) throw toCrlFileError(`holds a list in the name of ${describeSubject(named[0])} that it has not signed`);
  return false;
}

/** Returns why a list is not current; undefined if it is. */
export function findListFlaw({ thisUpdate, nextUpdate }: RevocationList, now: Date): string | undefined {
  if (!nextUpdate) return 'has no nextUpdate';
  if (now > nextUpdate) return `ended on ${nextUpdate.toISOString()}`;
  return thisUpdate > now ? `begins on ${thisUpdate.toISOString()}` : undefined;
}

function isOlder(one: RevocationList, other: RevocationList): boolean {
  if (one.number !== undefined && other.number !== undefined && one.number !== other.number) {
    return one.number < other.number;
  }
  return one.thisUpdate < other.thisUpdate;
}

function toCrlFileError(problem: string): TrustMaterialError {
  return TrustMaterialError.forSetting('CRL_FILE', problem);
}
