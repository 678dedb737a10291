import { readFileSync } from 'node:fs';
import type { DataSource } from 'typeorm';
import { type ApprovalRules, parseAccessPolicy } from '../../src/access/access-policy.js';
import { describeApproval } from '../../src/approvals/approval-seal.js';
import { ApprovalEntity, type ForceRetireAction } from '../../src/approvals/approval.entity.js';
import { createAuditRow, INSERT_EVENT, withMac } from '../../src/audit/audit-event.repository.js';
import { describeEvent } from '../../src/audit/event-macs.js';
import { makeUuidv7 } from '../../src/config/random.js';
import { deriveSealKey, readMasters, type SecretKeys } from '../../src/config/secret-keys.js';
import { Seals } from '../../src/seals/seals.js';
import { KeyFileError } from './key-file.js';
import { countRows, listRegistered } from './key-table.js';

const PERMISSION = 'seal-keys:force-retire';

/** Reads what the access policy says of approvals; null: the forced retirement of a key needs none. @throws AccessPolicyError */
export function readForceRules(policyFile: string): ApprovalRules | null {
  const { approvals } = parseAccessPolicy(readFileSync(policyFile, 'utf8'));
  return approvals?.permissions.has(PERMISSION) ? approvals : null;
}

/**
 * Finds the approval of a second identity for the forced retirement of a key. Makes the request if there is none. A request
 * that the key itself sealed does not count, because a thief of the key can make one.
 *
 * @returns the id of the request
 * @throws KeyFileError if nobody has approved the request yet
 */
export async function demandApproval(
  dataSource: DataSource,
  id: string,
  keyFile: string,
  rules: ApprovalRules,
): Promise<string> {
  const seals = await openSeals(dataSource, id, keyFile);
  const now = new Date();
  const rows = await dataSource.getRepository(ApprovalEntity).findBy({ permission: PERMISSION });
  const standing = rows.filter(
    (row) => row.expiresAt > now && seals.isGenuine(describeApproval(row), row.mac) && readSealKey(row) === id,
  );
  const approved = standing.find(({ status }) => status === 'approved');
  if (approved) return approved.id;
  const pending = standing.find(({ status }) => status === 'pending');
  const approval =
    pending ?? (await request(dataSource, id, seals, new Date(now.getTime() + rules.ttlSeconds * 1_000)));
  throw new KeyFileError(
    `A second identity must approve this first: POST /v1/approvals/${approval.id}/approve, until ${approval.expiresAt.toISOString()}. Then run the command again.`,
  );
}

function readSealKey({ action }: ApprovalEntity): string {
  return (JSON.parse(action) as ForceRetireAction).sealKey;
}

/** The seals as they are when the key is retired. */
async function openSeals(dataSource: DataSource, id: string, keyFile: string): Promise<Seals> {
  const now = new Date();
  const registered = await listRegistered(dataSource);
  const isRetired = (each: string): boolean =>
    each === id || registered.some((key) => key.id === each && key.retiredAt !== null && key.retiredAt <= now);
  const keys = readMasters(keyFile, 'PASSKEY_BINDING_KEY_FILE').map(deriveSealKey) as unknown as SecretKeys['seals'];
  const register = { areSealsNew: true, areOldAccepted: false, isRetired, isRetiring: isRetired };
  return new Seals({ seals: keys }, register);
}

async function request(dataSource: DataSource, id: string, seals: Seals, expiresAt: Date): Promise<ApprovalEntity> {
  const counts = Object.values(await countRows(dataSource, id));
  const action: ForceRetireAction = { sealKey: id, rows: counts.reduce((sum, count) => sum + count, 0) };
  const requestedAt = new Date();
  const approval = Object.assign(new ApprovalEntity(), {
    ...{ id: makeUuidv7(requestedAt), permission: PERMISSION, rpId: null, action: JSON.stringify(action) },
    ...{ requestedBy: 'npm run keys', requestedAt, expiresAt },
    ...{ status: 'pending' as const, decidedBy: null, decidedAt: null, reason: null },
  });
  approval.mac = seals.seal(describeApproval(approval));
  const facts = {
    ...{ requested_permission: PERMISSION, requested_by: approval.requestedBy, expires_at: expiresAt.toISOString() },
    ...{ seal_key: id, rows: action.rows },
  };
  const entry = { type: 'approval.request', outcome: 'success', approvalId: approval.id, facts } as const;
  const row = withMac(createAuditRow(entry, null, requestedAt), (eventId, leafHash) =>
    seals.seal(describeEvent(eventId, leafHash)),
  );
  await dataSource.transaction(async (manager) => {
    await manager.insert(ApprovalEntity, approval);
    await INSERT_EVENT.run(manager, row.values);
  });
  return approval;
}
