import { Injectable } from '@nestjs/common';
import { nameStatement, type Queryable } from '../database/named-statement.js';
import { CREDENTIAL_CHANGE, CREDENTIAL_COMPROMISE } from './event-types.js';
import type { ChangeKind, CredentialFacts } from './signal.entity.js';

/*
 * How changes get into the outbox. What makes a change writes its signals in the same statement or transaction: one row for each
 * stream that hears of the change. A stream hears of it unless it is disabled, does not deliver the type, is for other relying
 * parties, or its receiver removed the user. Without streams nothing is written.
 */

/** A change of a passkey, or the suspicion that it is compromised, that receivers hear of. */
export interface SignalledChange extends CredentialFacts {
  readonly kind: ChangeKind | 'compromise';
  readonly rpId: string;
  readonly userId: string;
  readonly txn: string;
  readonly happenedAt: Date;
}

/** SQL: the columns of a change in a record set. */
const SIGNAL_COLUMNS =
  'signal_kind text, signal_rp_id text, signal_user_id text, signal_name text, signal_attachment text, signal_aaguid uuid, signal_initiator text, signal_reason text, signal_txn text, signal_time timestamptz';

/** Turns a change into a record of a record set. */
function toSignalRecord(change: SignalledChange): Record<string, unknown> {
  return {
    signal_kind: change.kind,
    signal_rp_id: change.rpId,
    signal_user_id: change.userId,
    signal_name: change.name,
    signal_attachment: change.attachment,
    signal_aaguid: change.aaguid,
    signal_initiator: change.initiator,
    signal_reason: change.reason,
    signal_txn: change.txn,
    signal_time: change.happenedAt,
  };
}

/**
 * SQL: writes the signals of a source of changes, for a WITH.
 *
 * @param source SQL, with SIGNAL_COLUMNS
 */
export function insertSignalsSql(source: string): string {
  return `INSERT INTO signal (id, stream_id, kind, rp_id, user_id, facts, txn, happened_at)
       SELECT gen_random_uuid(), stream.id, signal_kind, signal_rp_id, signal_user_id,
              jsonb_build_object('name', signal_name, 'attachment', signal_attachment, 'aaguid', signal_aaguid, 'initiator', signal_initiator, 'reason', signal_reason),
              signal_txn, signal_time
       FROM ${source} JOIN signal_stream stream ON stream.status <> 'disabled'
        AND CASE signal_kind WHEN 'compromise' THEN '${CREDENTIAL_COMPROMISE}' ELSE '${CREDENTIAL_CHANGE}' END = ANY (stream.events_delivered)
        AND (stream.relying_parties IS NULL OR signal_rp_id = ANY (stream.relying_parties))
       WHERE NOT EXISTS (SELECT FROM signal_excluded_subject excluded
                          WHERE excluded.stream_id = stream.id AND excluded.rp_id = signal_rp_id AND excluded.user_id = signal_user_id)`;
}

/** The parts of a batched statement that write signals: further columns of its rows, a further part of its WITH. */
export interface SignalPart {
  readonly columns: string;
  /** @param source SQL: the rows whose signals are written */
  sql(source: string): string;
  record(signal: SignalledChange | undefined): Record<string, unknown>;
}

export const WITH_SIGNALS: SignalPart = {
  columns: `, ${SIGNAL_COLUMNS}`,
  sql: (source) => `,\n     signalled AS (${insertSignalsSql(source)})`,
  record: (signal) => (signal ? toSignalRecord(signal) : {}),
};

export const WITHOUT_SIGNALS: SignalPart = { columns: '', sql: () => '', record: () => ({}) };

/** SQL: $1 has the changes, as an array of records. */
export const WRITE_SIGNALS = nameStatement(
  'signal-write',
  insertSignalsSql(`(SELECT * FROM json_to_recordset($1::json) AS given (${SIGNAL_COLUMNS})) AS change`),
);

const FORGET_SUBJECT = 'DELETE FROM signal_excluded_subject WHERE rp_id = $1 AND user_id = $2';

/** Writes the signals of changes that a transaction makes. */
@Injectable()
export class Outbox {
  /** @param through the transaction that makes the changes, after it has locked what it changes */
  async write(through: Queryable, changes: readonly SignalledChange[]): Promise<void> {
    if (changes.length > 0) await WRITE_SIGNALS.run(through, [JSON.stringify(changes.map(toSignalRecord))]);
  }

  /** Forgets that receivers removed a user. Signals that wait to be delivered keep the user's id until they are. */
  async forgetSubject(through: Queryable, rpId: string, userId: string): Promise<void> {
    await through.query(FORGET_SUBJECT, [rpId, userId]);
  }
}
