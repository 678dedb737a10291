import { type RefusedCeremony, readRefusals } from '../explain/sign-in-diagnosis.js';
import type { ServiceVerdicts } from '../explain/judge-passkey.js';
import { call, type Schemas } from '../shell/api.js';
import type { Caller } from '../shell/caller.js';
import { Problem } from '../shell/problem.js';

export interface User {
  readonly passkeys: readonly Schemas['Credential'][];
  /** Absent if the policy does not show it. */
  readonly party: Schemas['RelyingParty'] | undefined;
}

/** What the box about sign-ins needs beyond the passkeys. */
export interface Evidence {
  readonly verdicts: ServiceVerdicts | undefined;
  readonly refusals: readonly RefusedCeremony[] | undefined;
}

const PAGE_ROWS = 200;

/** Reads all passkeys of a user and, if the policy allows, the relying party. @throws Problem */
export async function readUser(caller: Caller, rpId: string, userId: string, signal: AbortSignal): Promise<User> {
  const [passkeys, party] = await Promise.all([
    readPasskeys(rpId, userId, signal),
    caller.permissions.has('relying-parties:read')
      ? call('get', '/v1/relying-parties/{rpId}', { path: { rpId } }, { signal })
      : undefined,
  ]);
  return { passkeys, party };
}

async function readPasskeys(rpId: string, userId: string, signal: AbortSignal): Promise<Schemas['Credential'][]> {
  const passkeys: Schemas['Credential'][] = [];
  let cursor: string | null = null;
  do {
    const query = { rpId, userId, limit: PAGE_ROWS, ...(cursor !== null && { cursor }) };
    const page: Schemas['CredentialPage'] = await call('get', '/v1/credentials', { query }, { signal });
    passkeys.push(...page.data);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return passkeys;
}

/** Reads the last refusals, and what the service itself says about the models, as far as the policy allows. @throws Problem */
export async function readEvidence(
  { permissions }: Caller,
  { party }: User,
  { rpId, userId }: { rpId: string; userId: string },
  signal: AbortSignal,
): Promise<Evidence> {
  const [verdicts, refusals] = await Promise.all([
    party && permissions.has('relying-parties:write') ? askService(party, signal) : undefined,
    permissions.has('audit:read') ? readLastRefusals(rpId, userId, signal) : undefined,
  ]);
  return { verdicts, refusals };
}

/** A dry run of the present settings changes nothing, and judges each model by FIDO metadata, too. */
async function askService(party: Schemas['RelyingParty'], signal: AbortSignal): Promise<ServiceVerdicts | undefined> {
  const { rpId } = party;
  try {
    const sent = { path: { rpId }, query: { dryRun: true }, body: party };
    const answer = await call('put', '/v1/relying-parties/{rpId}', sent, { signal });
    return 'wouldRefuse' in answer ? answer.wouldRefuse : undefined;
  } catch (error) {
    // The rest of the diagnosis does not depend on it.
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/** As many events as a look back needs. */
const LOOKED_AT = 50;

async function readLastRefusals(rpId: string, userId: string, signal: AbortSignal): Promise<RefusedCeremony[]> {
  const query = { userId, outcome: 'failure', limit: LOOKED_AT } as const;
  const { data } = await call('get', '/v1/audit/events', { query }, { signal });
  return readRefusals(data, rpId);
}
