import { parseIdTime } from '../../src/audit/audit-event.repository.js';
import type { EndedPasskey, ErasedUser } from './exported-events.js';
import { describeAnswer, type ServiceCaller } from '../service/service-caller.js';

/** What became of a passkey that the exports end, or of a user whom they erase. */
export type Outcome =
  | {
      /**
       * `repeated`: the service has done it now. `due`: it would have, without a dry run. `failed`: it did not. `newer`: an
       * operator has reinstated the passkey after the exports end, so it is left as it is.
       */
      readonly kind: 'repeated' | 'due' | 'failed' | 'newer';
      readonly passkey: EndedPasskey;
      /** The status before, or why it failed. */
      readonly text: string;
    }
  /** The service has it as the exports say, or does not have it at all. */
  | { readonly kind: 'kept' | 'gone'; readonly passkey: EndedPasskey }
  /** The user is back; `userId` is the user's id as auth-service knows it. */
  | { readonly kind: 'erase'; readonly user: ErasedUser; readonly userId: string; readonly rpId: string }
  /** The exports have no passkey of the user, so the service cannot be asked about the pseudonym. */
  | { readonly kind: 'unknown-user'; readonly user: ErasedUser }
  | { readonly kind: 'erasure-failed'; readonly user: ErasedUser; readonly text: string };

export interface RepeatOptions {
  readonly dryRun: boolean;
  /** The time of the newest event in the exports. */
  readonly exportedUntil: Date;
}

/** Requests that run at once. One caller may have a quarter of the service's. */
const LANES = 4;
/** Stands for somebody who was no user: there was nothing to erase. */
const STAND_IN = '~';
const ACTIONS = { revoked: 'revoke', suspended: 'suspend' } as const;
const MAX_REASON = 256;

/**
 * Brings the service's passkeys to the status that exports of its log say, through its API, so that the log records each
 * change. What is so already is not touched.
 *
 * @throws Error if the service does not answer
 */
export async function* repeatRevocations(
  service: Pick<ServiceCaller, 'call'>,
  passkeys: readonly EndedPasskey[],
  users: readonly ErasedUser[],
  options: RepeatOptions,
): AsyncGenerator<Outcome> {
  const denied = await findDenied(service, new Set(listRpIds(passkeys, users)));
  for (let index = 0; index < passkeys.length; index += LANES) {
    const lanes = passkeys.slice(index, index + LANES).map((passkey) => repeat(service, passkey, denied, options));
    yield* await Promise.all(lanes);
  }
  for (const user of users.filter(({ uid }) => !uid.startsWith(STAND_IN))) {
    const outcome = await findErased(service, user, denied);
    if (outcome) yield outcome;
  }
}

function* listRpIds(passkeys: readonly EndedPasskey[], users: readonly ErasedUser[]): Generator<string> {
  for (const { rpId } of [...passkeys, ...users.flatMap(({ passkeys: theirs }) => theirs)]) yield rpId;
}

/** Finds out where the caller may not act: there a passkey looks as if it were gone. @returns the reasons by RP ID */
async function findDenied(
  service: Pick<ServiceCaller, 'call'>,
  rpIds: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const denied = new Map<string, string>();
  for (const rpId of rpIds) {
    const answer = await service.call('GET', `/v1/credentials?limit=1&rpId=${encodeURIComponent(rpId)}`);
    if (answer.status !== 200) denied.set(rpId, describeAnswer(answer));
  }
  return denied;
}

async function repeat(
  service: Pick<ServiceCaller, 'call'>,
  passkey: EndedPasskey,
  denied: ReadonlyMap<string, string>,
  { dryRun, exportedUntil }: RepeatOptions,
): Promise<Outcome> {
  const reason = denied.get(passkey.rpId);
  if (reason !== undefined) return { kind: 'failed', passkey, text: reason };
  const { id, status: wanted, event } = passkey;
  const found = await service.call('GET', `/v1/credentials/${id}`);
  if (found.status === 404) return { kind: 'gone', passkey };
  if (found.status !== 200) return { kind: 'failed', passkey, text: describeAnswer(found) };
  const status = String(found.body['status']);
  if (status === wanted || status === 'revoked') return { kind: 'kept', passkey };
  const changedAt = new Date(String(found.body['statusChangedAt']));
  // A revocation is final, so a passkey that should be revoked and is not has an older state, whatever its times say.
  if (wanted === 'suspended' && changedAt > exportedUntil) {
    return { kind: 'newer', passkey, text: changedAt.toISOString() };
  }
  if (dryRun) return { kind: 'due', passkey, text: status };
  const body = {
    reason: Array.from(event.reason ?? `as event ${event.id} says`)
      .slice(0, MAX_REASON)
      .join(''),
  };
  const answer = await service.call('POST', `/v1/credentials/${id}/${ACTIONS[wanted]}`, body);
  // An answer may be lost, and another operator may be faster: what counts is the status.
  const after = answer.status === 200 ? answer : await service.call('GET', `/v1/credentials/${id}`);
  return after.body['status'] === wanted
    ? { kind: 'repeated', passkey, text: status }
    : { kind: 'failed', passkey, text: describeAnswer(answer) };
}

/** Looks for a passkey of an erased user. @returns undefined if none is there */
async function findErased(
  service: Pick<ServiceCaller, 'call'>,
  user: ErasedUser,
  denied: ReadonlyMap<string, string>,
): Promise<Outcome | undefined> {
  if (user.passkeys.length === 0) return { kind: 'unknown-user', user };
  for (const { subject, rpId } of user.passkeys) {
    const reason = denied.get(rpId);
    if (reason !== undefined) return { kind: 'erasure-failed', user, text: reason };
    const answer = await service.call('GET', `/v1/credentials/${subject}`);
    if (answer.status === 200) return { kind: 'erase', user, userId: String(answer.body['userId']), rpId };
    if (answer.status !== 404) return { kind: 'erasure-failed', user, text: describeAnswer(answer) };
  }
  return undefined;
}

/** The time of an event, from its id. */
export function formatEventTime({ id }: { readonly id: string }): string {
  return new Date(parseIdTime(id)).toISOString();
}
