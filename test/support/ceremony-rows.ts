import { v7 as uuidv7 } from 'uuid';
import type { AuditEntry } from '../../src/audit/audit-entry.js';
import { type AuditRow, createAuditRow } from '../../src/audit/audit-event.repository.js';
import type { AcceptAuthenticationInput, AcceptRegistrationInput } from '../../src/credentials/answer.repository.js';
import type { RefuseInput } from '../../src/credentials/refused-answer.repository.js';
import type { CredentialEntity } from '../../src/credentials/credential.entity.js';
import { DEFAULT_POLICY } from '../../src/relying-parties/relying-party-policy.js';
import { RelyingPartyEntity } from '../../src/relying-parties/relying-party.entity.js';
import { makeAuthorizedContext } from './callers.js';
import { openTestDataSource, type TestDataSource } from './test-data-source.js';

export const NOW = new Date('2026-06-30T12:00:00.000Z');
/** What a relying party of openHotPathDatabase has. */
export const POLICY = { ...DEFAULT_POLICY, challengeTtlSeconds: 120 };
export const VERSION = 3;
/** The seal of a relying party of openHotPathDatabase. No key made it. */
export const SEAL = Buffer.alloc(32, 7);

/**
 * Opens a database with two relying parties: `a.example`, and `off.example`, which is disabled. Challenges of NOW can be
 * spent.
 */
export async function openHotPathDatabase(): Promise<TestDataSource> {
  const database = await openTestDataSource();
  const party = {
    name: 'x',
    origins: ['https://a.example'],
    version: VERSION,
    seal: SEAL,
    createdAt: NOW,
    updatedAt: NOW,
  };
  await database.dataSource.manager.insert(RelyingPartyEntity, [
    { ...party, rpId: 'a.example', enabled: true, policy: POLICY },
    { ...party, rpId: 'off.example', enabled: false, policy: POLICY },
  ]);
  await database.sql('SELECT spent_challenge_make_periods($1)', [NOW]);
  return database;
}

export const makeChallengeId = (at = NOW): string => uuidv7({ msecs: at.getTime() });

/** @param uid represents the user of the entry */
export const makeEventRow = (entry: Partial<AuditEntry> = {}, uid?: string): AuditRow =>
  createAuditRow({ type: 'credential.verify', outcome: 'success', ...entry }, makeAuthorizedContext(), NOW, uid);

export const makeAcceptInput = (
  credential: AcceptAuthenticationInput['credential'],
  signCount: number,
  changed: Partial<AcceptAuthenticationInput> = {},
): AcceptAuthenticationInput => ({
  challengeId: makeChallengeId(),
  credential,
  signCount,
  backupEligible: true,
  backedUp: false,
  version: credential.version,
  now: NOW,
  flag: false,
  bindingMac: credential.bindingMac,
  lastSignInAt: null,
  userHandle: null,
  event: makeEventRow(),
  ...changed,
});

/** @param handle the one that READ_FOR_REGISTRATION returned */
export const makeRegistrationInput = (
  credential: CredentialEntity,
  handle: Buffer,
  changed: Partial<AcceptRegistrationInput> = {},
): AcceptRegistrationInput => {
  const { rpId, userId } = credential;
  return {
    challengeId: makeChallengeId(),
    credential,
    handle,
    revocations: 0,
    version: VERSION,
    most: 64,
    txn: 'request',
    event: makeEventRow({ type: 'credential.register', rpId, userId }, `pseudonym of ${userId}`),
    ...changed,
  };
};

export const makeRefuseInput = (changed: Partial<RefuseInput> = {}): RefuseInput => ({
  challengeId: makeChallengeId(),
  event: makeEventRow({ outcome: 'failure' }),
  ...changed,
});
