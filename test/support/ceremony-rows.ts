import { randomBytes, randomUUID } from 'node:crypto';
import { type AuditRow, createAuditRow } from '../../src/audit/audit-event.repository.js';
import type { AcceptInput } from '../../src/credentials/answer.repository.js';
import type { IssueAuthenticationInput } from '../../src/challenges/challenge.repository.js';
import { DEFAULT_POLICY } from '../../src/relying-parties/relying-party-policy.js';
import { RelyingPartyEntity } from '../../src/relying-parties/relying-party.entity.js';
import { AUTH_SERVICE, makeAuthorizedContext } from './callers.js';
import { openTestDataSource, type TestDataSource } from './test-data-source.js';

export const NOW = new Date('2026-06-30T12:00:00.000Z');
export const CALLER = AUTH_SERVICE.spiffeId;

/** Opens a database with two relying parties: `a.example`, with challenges of two minutes, and `off.example`, which is disabled. */
export async function openHotPathDatabase(): Promise<TestDataSource> {
  const database = await openTestDataSource();
  const party = { name: 'x', origins: ['https://a.example'], version: 1, createdAt: NOW, updatedAt: NOW };
  const policy = { ...DEFAULT_POLICY, challengeTtlSeconds: 120 };
  await database.dataSource.manager.insert(RelyingPartyEntity, [
    { ...party, rpId: 'a.example', enabled: true, policy },
    { ...party, rpId: 'off.example', enabled: false, policy },
  ]);
  return database;
}

export const makeEventRow = (type: 'challenge.issue' | 'credential.verify' = 'challenge.issue'): AuditRow =>
  createAuditRow({ type, outcome: 'success' }, makeAuthorizedContext(), NOW);

export interface Asked {
  rpId?: string;
  userId?: string | undefined;
  caller?: string;
}

export const makeIssueInput = (asked: Asked = {}): IssueAuthenticationInput => {
  const { rpId = 'a.example', userId, caller = CALLER } = asked;
  const challenge = randomBytes(32);
  return {
    id: randomUUID(),
    rpId,
    userId,
    purpose: 'payment',
    issuedTo: caller,
    challenge,
    now: NOW,
    event: makeEventRow(),
  };
};

export const makeAcceptInput = (credential: AcceptInput['credential'], signCount: number): AcceptInput => ({
  credential,
  signCount,
  backupEligible: true,
  backedUp: false,
  now: NOW,
  flag: false,
  bindingMac: credential.bindingMac,
  event: makeEventRow('credential.verify'),
});
