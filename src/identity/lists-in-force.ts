import type { X509Certificate } from 'node:crypto';
import { describe } from './authorities.js';
import { describeName, isKeyOf, namesOf } from './authority-key.js';
import type { RevocationList } from './revocation-list.js';
import { TrustMaterialError } from './trust-material-error.js';

export interface Lists {
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
}

/** The authorities and lists in force of a CA and a CRL file. */
export interface ListsInForce extends Lists {
  /** The newest list of each authority since the start, in force or not: no older one may follow it. */
  readonly newest: readonly RevocationList[];
}

/**
 * Chooses the revocation lists that count: the newest of each authority that has not ended, and the newest of each
 * authority that the file does not hold, such as an intermediate, whose signatures nobody can verify here.
 *
 * OpenSSL refuses every certificate of an authority that has no current list, or a list that it takes for the authority's
 * though another key signed it. So each authority must have one. An authority whose list has ended in operation does not keep
 * another's new list out.
 *
 * @param held what is in use
 * @throws TrustMaterialError
 */
export async function listsInForce(material: Lists, now: Date, held?: ListsInForce): Promise<ListsInForce> {
  const authorities = await leaveOutUnlisted(material, now);
  const living = authorities.filter((authority) => isLiving(authority, now));
  if (living.length === 0) throw TrustMaterialError.of('CA_FILE', 'every authority has ended');
  const lists = new Set(await listsOfOthers(material, held?.newest ?? []));
  for (const authority of living) {
    const list = await demandCurrent(authority, material, now, held);
    if (list) lists.add(list);
  }
  const revocationLists = [...lists];
  for (const authority of living) await demandOwn(authority, revocationLists);
  const newest = [...revocationLists, ...(await keepNewest(held?.newest ?? [], authorities, revocationLists))];
  return { authorities, revocationLists, newest };
}

/** Whether a list is of an authority that may still be somebody's. */
export function isInUse({ issuer }: RevocationList, authorities: readonly X509Certificate[], now: Date): boolean {
  const named = authorities.filter((authority) => namesOf(authority).subject === issuer);
  return named.length === 0 || named.some((authority) => isLiving(authority, now));
}

const isLiving = ({ validToDate }: X509Certificate, now: Date): boolean => now <= validToDate;

/**
 * Leaves out an edition of an authority's certificate whose list names another edition of the same name and key, by issuer
 * and serial number: OpenSSL would apply the list to that one alone, and may choose either for a caller's path.
 */
async function leaveOutUnlisted(material: Lists, now: Date): Promise<X509Certificate[]> {
  const listed = new Set<X509Certificate>();
  for (const authority of material.authorities) if (await listOf(authority, material)) listed.add(authority);
  const hasListedEdition = (authority: X509Certificate): boolean =>
    [...listed].some((other) => isLiving(other, now) && isEditionOf(other, authority));
  return material.authorities.filter((authority) => listed.has(authority) || !hasListedEdition(authority));
}

function isEditionOf(one: X509Certificate, other: X509Certificate): boolean {
  return namesOf(one).subject === namesOf(other).subject && one.publicKey.equals(other.publicKey);
}

/** The newest list of each authority that the file does not hold, by names and key identifiers. */
async function listsOfOthers(
  { authorities, revocationLists }: Lists,
  before: readonly RevocationList[],
): Promise<RevocationList[]> {
  const newest: RevocationList[] = [];
  for (const list of revocationLists) {
    if (await isSigned(list, authorities)) continue;
    if (before.some((other) => areOfOne(list, other) && isOlder(list, other))) {
      const signer = 'where its own is wrong, put the authority into PASSKEY_TLS_CA_FILE, to let signatures decide';
      throw mistake(`the list of ${describeName(list.issuer)} is older than the one in use; ${signer}`);
    }
    const known = newest.findIndex((other) => areOfOne(list, other));
    if (known < 0) newest.push(list);
    else if (isOlder(newest[known]!, list)) newest[known] = list;
  }
  return newest;
}

function areOfOne(one: RevocationList, other: RevocationList): boolean {
  const [key, otherKey] = [one.authorityKey?.keyId, other.authorityKey?.keyId];
  return one.issuer === other.issuer && (key === undefined || otherKey === undefined || key === otherKey);
}

/** The lists that no list in force follows. */
async function keepNewest(
  before: readonly RevocationList[],
  authorities: readonly X509Certificate[],
  inForce: readonly RevocationList[],
): Promise<RevocationList[]> {
  const kept: RevocationList[] = [];
  for (const list of before) {
    const signers: X509Certificate[] = [];
    for (const authority of authorities) if (await list.isOf(authority)) signers.push(authority);
    const isFollowed =
      signers.length > 0
        ? (await Promise.all(signers.map((authority) => listOf(authority, { revocationLists: inForce })))).some(Boolean)
        : inForce.some((other) => areOfOne(list, other));
    if (!isFollowed) kept.push(list);
  }
  return kept;
}

async function demandCurrent(
  authority: X509Certificate,
  material: Lists,
  now: Date,
  held: ListsInForce | undefined,
): Promise<RevocationList | undefined> {
  const list = await listOf(authority, material);
  const before = held && (await newestSignedBy(authority, held.newest));
  const flaw = list ? flawOf(list, now) : await whyMissing(authority, material);
  const wasFlawed = before !== undefined && flawOf(before, now) !== undefined && isHeld(authority, held);
  if (flaw !== undefined && !wasFlawed) throw mistake(`the list of ${describe(authority)} ${flaw}`);
  if (list && before && isOlder(list, before)) {
    throw mistake(`the list of ${describe(authority)} is older than the one in use`);
  }
  return list;
}

function isHeld(authority: X509Certificate, held: Lists | undefined): boolean {
  return held?.authorities.some(({ raw }) => raw.equals(authority.raw)) ?? false;
}

/** Why an authority has no list that OpenSSL would apply to its certificates. */
async function whyMissing(authority: X509Certificate, { revocationLists }: Lists): Promise<string> {
  const signed = await newestSignedBy(authority, revocationLists);
  if (!signed) return 'is missing';
  const { keyId } = signed.authorityKey ?? {};
  if (keyId !== undefined && !isKeyOf({ keyId, issuer: undefined, serialNumber: undefined }, authority)) {
    return 'names another key as its authority’s (authority key identifier)';
  }
  return 'names another certificate of its authority, by issuer and serial number (authority key identifier): keep that certificate in PASSKEY_TLS_CA_FILE until there is a list that names the new one, or none';
}

/** OpenSSL chooses by names and key identifiers alone, and then refuses a list that another key has signed. */
async function demandOwn(authority: X509Certificate, lists: readonly RevocationList[]): Promise<void> {
  for (const list of lists) {
    if (!list.names(authority) || (await list.isOf(authority))) continue;
    const cause = 'its list and theirs must have authority key identifiers';
    throw mistake(`two authorities go by the name ${describe(authority)}: ${cause}`);
  }
}

/** The newest list that an authority has signed, and that OpenSSL applies to its certificates. */
export async function listOf(
  authority: X509Certificate,
  { revocationLists }: Pick<Lists, 'revocationLists'>,
): Promise<RevocationList | undefined> {
  return newestSignedBy(
    authority,
    revocationLists.filter((list) => list.names(authority)),
  );
}

/** The lists that an authority's key has signed in its name, for any edition of its certificate. */
export async function listsSignedBy(
  authority: X509Certificate,
  { revocationLists }: Pick<Lists, 'revocationLists'>,
): Promise<RevocationList[]> {
  const signed: RevocationList[] = [];
  for (const list of revocationLists) if (await list.isOf(authority)) signed.push(list);
  return signed;
}

async function newestSignedBy(
  authority: X509Certificate,
  revocationLists: readonly RevocationList[],
): Promise<RevocationList | undefined> {
  const [first, ...others] = await listsSignedBy(authority, { revocationLists });
  return others.reduce((newest, list) => (newest && isOlder(newest, list) ? list : newest), first);
}

/** @returns false: no authority of the file has the list's name */
async function isSigned(list: RevocationList, authorities: readonly X509Certificate[]): Promise<boolean> {
  const named = authorities.filter((authority) => namesOf(authority).subject === list.issuer);
  for (const authority of named) if (await list.isOf(authority)) return true;
  if (named[0]) throw mistake(`holds a list in the name of ${describe(named[0])} that it has not signed`);
  return false;
}

/** Why a list is not current. */
export function flawOf({ thisUpdate, nextUpdate }: RevocationList, now: Date): string | undefined {
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

function mistake(problem: string): TrustMaterialError {
  return TrustMaterialError.of('CRL_FILE', problem);
}
