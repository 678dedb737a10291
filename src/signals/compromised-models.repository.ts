import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource, EntityManager } from 'typeorm';
import { toFirstId } from '../audit/audit-event.repository.js';
import { insertSignalsSql } from './outbox.repository.js';

/** $1: the number of the metadata; $2: JSON, models and why. Of two replicas, the one with the newer metadata decides. */
const SEE = `
  INSERT INTO signal_model (aaguid, serial, status)
  SELECT aaguid, $1, given.status FROM json_to_recordset($2::json) AS given (aaguid uuid, status text)
  ON CONFLICT (aaguid) DO UPDATE SET serial = excluded.serial, status = excluded.status, after = NULL, completed_at = NULL
   WHERE signal_model.status IS NULL AND signal_model.serial <= excluded.serial`;
/** A model that is compromised once more later is told of once more. */
const LIFT = `UPDATE signal_model SET status = NULL, serial = $1 WHERE status IS NOT NULL AND serial < $1 AND NOT (aaguid = ANY ($2::uuid[]))`;

/** $1: a model that was walked to its end at this time or later is not due. Those that never were come first. */
const NEXT = `
  SELECT aaguid, serial, status, coalesce(after, '00000000-0000-0000-0000-000000000000') AS after FROM signal_model
   WHERE status IS NOT NULL AND (completed_at IS NULL OR completed_at <= $1)
   ORDER BY completed_at NULLS FIRST, aaguid LIMIT 1 FOR UPDATE SKIP LOCKED`;

const BATCH = 500;
/**
 * Ids are UUIDv7, so a passkey that is stored later has a larger one, except that statements may end in another order than their
 * ids were made: within this time, which is longer than a statement and its tries may take, and the clocks of replicas differ.
 */
const SETTLED_MS = 60_000;

/**
 * $1: a model; $2: the last id of the batch before; $3: the reason; $4: txn; $5: the time; $6: the first id that is not settled.
 * Reads the table `credential` of src/credentials, in the order of its index of models, and writes a signal for each passkey that
 * is not revoked: one that is suspended may be reinstated.
 */
const WRITE_BATCH = `
  WITH batch AS MATERIALIZED (
    SELECT id, rp_id, user_id, name, attachment, aaguid, status FROM credential
     WHERE aaguid = $1 AND left(CAST(id AS text), 8) >= left($2::uuid::text, 8) AND id > $2
       AND left(CAST(id AS text), 8) <= left($6::uuid::text, 8) AND id < $6
     ORDER BY left(CAST(id AS text), 8), id LIMIT ${String(BATCH)}),
   signalled AS (${insertSignalsSql(`(
     SELECT 'compromise' AS signal_kind, rp_id AS signal_rp_id, user_id AS signal_user_id, name AS signal_name,
            attachment AS signal_attachment, aaguid AS signal_aaguid, 'policy' AS signal_initiator, $3::text AS signal_reason,
            $4::text AS signal_txn, $5::timestamptz AS signal_time
       FROM batch WHERE status <> 'revoked' ORDER BY id) AS change`)})
  SELECT count(*)::integer AS seen, (SELECT id FROM batch ORDER BY id DESC LIMIT 1) AS last FROM batch`;

const ADVANCE = 'UPDATE signal_model SET after = $2, completed_at = $3 WHERE aaguid = $1';

interface ModelRow {
  readonly aaguid: string;
  readonly serial: number;
  readonly status: string;
  readonly after: string;
}

/** Remembers which models metadata calls compromised, and how far the signals about their passkeys are. */
@Injectable()
export class CompromisedModelsRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** @param compromised the standing by AAGUID, as the metadata with this number has it */
  async see(serial: number, compromised: ReadonlyMap<string, string>): Promise<void> {
    const models = [...compromised].map(([aaguid, status]) => ({ aaguid, status }));
    await this.dataSource.transaction(async (manager) => {
      await manager.query(SEE, [serial, JSON.stringify(models)]);
      await manager.query(LIFT, [serial, [...compromised.keys()]]);
    });
  }

  /**
   * Writes the next batch of signals, and notes it in the same transaction, so that a passkey is told of once. Of a model that was
   * walked to its end it writes those of the passkeys that were stored since, once a minute: a registration may have been on its way
   * when the model was reported, a replica may have older metadata, and an import asks no policy.
   *
   * @returns false: nothing is left, or another replica does it
   */
  writeBatch(now: Date): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      const [model] = await manager.query<ModelRow[]>(NEXT, [new Date(now.getTime() - SETTLED_MS)]);
      if (!model) return false;
      await this.writeOf(manager, model, now);
      return true;
    });
  }

  private async writeOf(manager: EntityManager, model: ModelRow, now: Date): Promise<void> {
    const { aaguid, serial, status, after } = model;
    const reason = `FIDO metadata ${String(serial)} reports ${status} for this model`;
    const unsettled = toFirstId(now.getTime() - SETTLED_MS);
    const values = [aaguid, after, reason, `metadata-${String(serial)}`, now, unsettled];
    const [batch] = await manager.query<{ seen: number; last: string | null }[]>(WRITE_BATCH, values);
    const { seen, last } = batch!;
    await manager.query(ADVANCE, [aaguid, last ?? after, seen < BATCH ? now : null]);
  }
}
