import { Inject, Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { typeEqualsSql } from '../audit/audit-event.repository.js';
import { AuditService } from '../audit/audit.service.js';
import type { VerifierKey } from '../tlog/keys.js';
import type { AuditCheckpointEntity } from './log.entities.js';
import { LOG_KEYS, type LogKeys, selectKeys } from './log-keys.js';

/** Only an event with a place counts: somebody else may have inserted others. */
const FIND_NEWEST = `SELECT event FROM audit_event
  WHERE ${typeEqualsSql('type', `'audit.rekey'`)} AND EXISTS (SELECT FROM audit_leaf WHERE event_id = id)
  ORDER BY id DESC LIMIT 1`;

/**
 * Records a change of the audit key: that a process signs with other keys than those of the newest checkpoint. The log
 * itself says so once, however many replicas start with the new keys, and while replicas with the old keys still sign.
 */
@Injectable()
export class KeyChanges {
  constructor(
    @Inject(LOG_KEYS) private readonly keys: LogKeys,
    private readonly audit: AuditService,
  ) {}

  /** @param manager the transaction that has the turn, so that two replicas do not record the same change */
  async recordOnce(manager: EntityManager, { note }: Pick<AuditCheckpointEntity, 'note'>): Promise<void> {
    const { keys: old, areFormer } = selectKeys(this.keys, note);
    if (!areFormer) return;
    const { signers } = this.keys;
    const newKeys = listIds(signers.filter(({ isFormer }) => !isFormer).map(({ key }) => key));
    const [newest] = await manager.query<{ event: string }[]>(FIND_NEWEST);
    if (newest && readNewKeys(newest.event) === newKeys.join()) return;
    const oldKeysSign = old.every((key) => signers.some((signer) => signer.key.keyId === key.keyId));
    const facts = { old_keys: listIds(old), new_keys: newKeys, old_keys_sign: oldKeysSign };
    const detail = oldKeysSign
      ? 'The old and the new keys sign the checkpoint of this event.'
      : 'The new keys alone sign the checkpoint of this event: the old private keys are not in the key file.';
    await this.audit.record(null, { type: 'audit.rekey', outcome: 'success', detail, facts }, manager);
  }
}

/** C2SP signed-note: a key is named by its name and its key id. */
function listIds(keys: readonly VerifierKey[]): string[] {
  return keys.map(({ name, keyId }) => `${name}+${keyId}`);
}

function readNewKeys(event: string): string | undefined {
  const { unmapped } = JSON.parse(event) as { unmapped?: { new_keys?: string[] } };
  return unmapped?.new_keys?.join();
}
