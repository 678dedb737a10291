import type { SealedUser } from '../audit/sealed-user.js';
import { demandCredentialCapacity } from '../challenges/credential-capacity.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';
import { type InvalidMember, Problem } from '../http/problem.js';
import type { CredentialLine } from './credential-line.js';

/**
 * What becomes of a line:
 *
 * - `imported`: the passkey is stored now. In a dry run: it would be.
 * - `exists`: it is stored already, and nothing that an import decides differs.
 * - `conflict`: what is stored says otherwise.
 * - `refused`: the policy of the relying party forbids it.
 * - `malformed`: the line does not match the contract.
 * - `unavailable`: it could not be stored now, and nothing says that it cannot be later.
 */
export const VERDICTS = ['imported', 'exists', 'conflict', 'refused', 'malformed', 'unavailable'] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What is stored, or was imported by an earlier line of a dry run, as far as a line can contradict it. */
export interface Known {
  readonly credential: KnownCredential | undefined;
  /** True if another user has the user handle of the line. */
  readonly handleIsTaken: boolean;
  /** True if another credential has the id of the line. */
  readonly idIsTaken: boolean;
  /** The user's passkeys that are not revoked. */
  readonly held: number;
}

/** Tells if a member is the same. A member that is not known contradicts nothing. */
export interface KnownCredential {
  isSame(member: ComparedMember, value: string): boolean;
}

/** The members that no use and no change of a passkey changes. */
export const COMPARED = ['userId', 'publicKey', 'userHandle', 'id', 'aaguid'] as const;
export type ComparedMember = (typeof COMPARED)[number];

/** Returns a member as text; undefined: the line leaves it open. */
export function readCompared(line: CredentialLine, member: ComparedMember): string | undefined {
  const value = line[member];
  return (Buffer.isBuffer(value) ? value.toString('base64url') : value) ?? undefined;
}

/** Compares a line with a stored credential. `user` is the owner of the line, who may be another than that of the credential. */
export function describeStored(stored: CredentialEntity, user: SealedUser | undefined): KnownCredential {
  const handle = stored.userHandle ?? user?.handle;
  const members: Readonly<Record<ComparedMember, string | undefined>> = {
    userId: stored.userId,
    publicKey: stored.publicKey.toString('base64url'),
    // An empty one is not known yet.
    userHandle: handle && handle.length > 0 ? handle.toString('base64url') : undefined,
    id: stored.id,
    aaguid: stored.aaguid,
  };
  return { isSame: (member, value) => members[member] === undefined || members[member] === value };
}

const SAYS: Readonly<Record<ComparedMember, string>> = {
  userId: 'the passkey is stored for another user',
  publicKey: 'the passkey is stored with another public key',
  userHandle: 'the passkey is stored with another user handle',
  id: 'the passkey is stored with another id',
  aaguid: 'the passkey is stored with another model',
};

/**
 * Holds a line against what is known.
 *
 * @param most the policy's maxCredentialsPerUser
 * @returns undefined: nothing is in its way
 */
export function judgeLine(
  line: CredentialLine,
  known: Known,
  most: number,
): { readonly verdict: Verdict; readonly problem?: Problem } | undefined {
  const { credential } = known;
  if (credential) {
    const differing = COMPARED.filter((member) => {
      const value = readCompared(line, member);
      return value !== undefined && !credential.isSame(member, value);
    });
    // The handle of another user says nothing.
    const shown = differing.includes('userId') ? differing.filter((member) => member !== 'userHandle') : differing;
    if (shown.length === 0) return { verdict: 'exists' };
    return conflict(shown.map((member) => ({ pointer: `/${member}`, detail: SAYS[member] })));
  }
  if (known.handleIsTaken) return conflict([{ pointer: '/userHandle', detail: 'another user has this user handle' }]);
  if (known.idIsTaken) {
    const detail = 'another passkey has this id; a line without one gets a new one';
    return conflict([{ pointer: '/id', detail }]);
  }
  if (line.status === 'revoked') return undefined;
  try {
    demandCredentialCapacity(known.held, most);
    return undefined;
  } catch (error) {
    if (error instanceof Problem) return { verdict: 'refused', problem: error };
    throw error;
  }
}

export function conflict(invalid: readonly InvalidMember[]): {
  readonly verdict: 'conflict';
  readonly problem: Problem;
} {
  return { verdict: 'conflict', problem: new Problem('import-conflict', { invalid }) };
}
