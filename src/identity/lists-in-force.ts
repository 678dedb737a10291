import type { X509Certificate } from 'node:crypto';
import { describe } from './authorities.js';
import { namesOf, type RevocationList } from './revocation-list.js';
import { TrustMaterialError } from './trust-material-error.js';

export interface Lists {
  readonly authorities: readonly X509Certificate[];
  readonly revocationLists: readonly RevocationList[];
}

/**
 * The revocation lists that count: the newest of each authority that has not ended, and all of authorities that the
 * file does not hold, such as intermediate ones, which are nobody's to verify yet.
 *
 * OpenSSL refuses every certificate of an authority that has no current list, or one in its name that it has not
 * signed: so none may lack one. An authority whose list has ended in operation is no reason to refuse another's new one.
 *
 * @param held what is in use
 * @throws TrustMaterialError
 */
export async function listsInForce(material: Lists, now: Date, held?: Lists): Promise<RevocationList[]> {
  const living = material.authorities.filter((authority) => isLiving(authority, now));
  if (living.length === 0) throw TrustMaterialError.of('CA_FILE', 'every authority has ended');
  const lists = new Set<RevocationList>();
  for (const list of material.revocationLists) if (!(await isSigned(list, material.authorities))) lists.add(list);
  for (const authority of living) {
    const list = await demandCurrent(authority, material, now, held);
    if (list) lists.add(list);
  }
  return [...lists];
}

/** Whether a list is of an authority that may still be somebody's. */
export function isInUse({ issuer }: RevocationList, authorities: readonly X509Certificate[], now: Date): boolean {
  const named = authorities.filter((authority) => namesOf(authority).subject === issuer);
  return named.length === 0 || named.some((authority) => isLiving(authority, now));
}

const isLiving = ({ validToDate }: X509Certificate, now: Date): boolean => now <= validToDate;

async function demandCurrent(
  authority: X509Certificate,
  material: Lists,
  now: Date,
  held: Lists | undefined,
): Promise<RevocationList | undefined> {
  const list = await listOf(authority, material);
  const before = held && (await listOf(authority, held));
  const flaw = flawOf(list, now);
  if (flaw !== undefined && (!before || flawOf(before, now) === undefined)) {
    throw mistake(`the list of ${describe(authority)} ${flaw}`);
  }
  if (list && before && isOlder(list, before)) {
    throw mistake(`the list of ${describe(authority)} is older than the one in use`);
  }
  return list;
}

/** The newest list that an authority has signed. */
export async function listOf(
  authority: X509Certificate,
  { revocationLists }: Pick<Lists, 'revocationLists'>,
): Promise<RevocationList | undefined> {
  let newest: RevocationList | undefined;
  for (const list of revocationLists) {
    if ((await list.isOf(authority)) && (!newest || isOlder(newest, list))) newest = list;
  }
  return newest;
}

/** @returns false: no authority of the file has the list's name */
async function isSigned(list: RevocationList, authorities: readonly X509Certificate[]): Promise<boolean> {
  const named = authorities.filter((authority) => namesOf(authority).subject === list.issuer);
  for (const authority of named) if (await list.isOf(authority)) return true;
  if (named[0]) throw mistake(`holds a list in the name of ${describe(named[0])} that it has not signed`);
  return false;
}

function flawOf(list: RevocationList | undefined, now: Date): string | undefined {
  if (!list) return 'is missing';
  if (!list.nextUpdate) return 'has no nextUpdate';
  if (now > list.nextUpdate) return `ended on ${list.nextUpdate.toISOString()}`;
  return list.thisUpdate > now ? `begins on ${list.thisUpdate.toISOString()}` : undefined;
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
