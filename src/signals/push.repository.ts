import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { nameStatement } from '../database/named-statement.js';
import type { JwtAlgorithm } from '../signing-keys/sign-jwt.js';
import type { SignalEntity } from './signal.entity.js';
import { PUSH } from './stream.entity.js';

/** A stream of which this replica holds the lease. */
export interface PushedStream {
  readonly id: string;
  readonly owner: string;
  readonly aud: string;
  readonly endpointUrl: string;
  readonly algorithm: JwtAlgorithm;
  readonly authorization: Buffer | null;
  /** How many pushes failed in a row. */
  readonly failures: number;
}

/** What is known of a stream whose push has failed. */
export interface FailingStream {
  readonly failures: number;
  readonly secondsFailing: number;
}

/** All times are of the database's clock: the replicas that share the streams agree on it. */
const TAKE = nameStatement<PushedStream>(
  'signal-push-take',
  `UPDATE signal_stream stream SET push_holder = $1, push_lease = now() + $2 * interval '1 ms'
    WHERE delivery_method = '${PUSH}' AND status = 'enabled' AND endpoint_url IS NOT NULL
      AND (push_lease IS NULL OR push_lease <= now()) AND (push_retry_at IS NULL OR push_retry_at <= now())
      AND EXISTS (SELECT FROM signal WHERE signal.stream_id = stream.id)
    RETURNING id, owner, aud, endpoint_url AS "endpointUrl", algorithm, push_authorization AS authorization, push_failures AS failures`,
);
const RENEW = nameStatement(
  'signal-push-renew',
  `UPDATE signal_stream SET push_lease = now() + $3 * interval '1 ms'
    WHERE id = $1 AND push_holder = $2 AND push_lease > now() AND status = 'enabled' AND endpoint_url = $4 RETURNING id`,
);
const RELEASE = nameStatement(
  'signal-push-release',
  `UPDATE signal_stream SET push_lease = NULL, active_at = coalesce($3, active_at)
    WHERE id = $1 AND push_holder = $2 RETURNING id`,
);
const LIST = nameStatement<SignalEntity>(
  'signal-push-list',
  `SELECT id, stream_id AS "streamId", seq, kind, rp_id AS "rpId", user_id AS "userId", facts, txn, happened_at AS "happenedAt"
     FROM signal WHERE stream_id = $1 ORDER BY seq LIMIT $2`,
);
const REMOVE = nameStatement('signal-push-remove', 'DELETE FROM signal WHERE stream_id = $1 AND id = $2 RETURNING id');
const SUCCEED = nameStatement(
  'signal-push-succeed',
  `UPDATE signal_stream SET push_failures = 0, push_failing_since = NULL, push_failure = NULL, push_retry_at = NULL
    WHERE id = $1 AND push_holder = $2 RETURNING id`,
);
const FAIL = nameStatement<FailingStream>(
  'signal-push-fail',
  `UPDATE signal_stream SET push_failures = push_failures + 1, push_failing_since = coalesce(push_failing_since, now()),
          push_failure = $3, push_retry_at = now() + $4 * interval '1 ms', push_lease = NULL
    WHERE id = $1 AND push_holder = $2
    RETURNING push_failures AS failures, extract(epoch FROM now() - push_failing_since)::float8 AS "secondsFailing"`,
);
const PAUSE = nameStatement(
  'signal-push-pause',
  `WITH paused AS (
     UPDATE signal_stream SET status = 'paused', status_reason = $2, updated_at = $3, push_failures = 0, push_failing_since = NULL,
            push_retry_at = NULL
      WHERE id = $1 AND status = 'enabled' RETURNING id)
   INSERT INTO signal (id, stream_id, kind, facts, txn, happened_at)
   SELECT gen_random_uuid(), id, 'stream-updated', jsonb_build_object('status', 'paused', 'reason', $2::text), gen_random_uuid()::text, $3
     FROM paused RETURNING id`,
);
const RESEAL = nameStatement(
  'signal-push-reseal',
  'UPDATE signal_stream SET push_authorization = $2 WHERE id = $1 AND push_authorization = $3 RETURNING id',
);
const COUNT = nameStatement<{ failing: number }>(
  'signal-push-count',
  `SELECT count(*)::int AS failing FROM signal_stream
    WHERE delivery_method = '${PUSH}' AND status = 'enabled' AND push_failing_since IS NOT NULL`,
);

/** The statements by which replicas share the pushed streams. A lease lets one of them push a stream. */
@Injectable()
export class PushRepository {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  /** Takes the streams that have signals, are due and nobody else's, for `leaseMs`. @param holder a UUID of this process */
  async takeStreams(holder: string, leaseMs: number): Promise<PushedStream[]> {
    return rowsOf(await TAKE.run(this.dataSource, [holder, leaseMs]));
  }

  /** @returns false if the lease has ended, or the stream is not as it was: its status or its endpoint changed */
  async renew({ id, endpointUrl }: PushedStream, holder: string, leaseMs: number): Promise<boolean> {
    return rowsOf(await RENEW.run(this.dataSource, [id, holder, leaseMs, endpointUrl])).length > 0;
  }

  /** @param activeAt when the receiver has accepted a signal; null: it has not */
  async release(id: string, holder: string, activeAt: Date | null): Promise<void> {
    await RELEASE.run(this.dataSource, [id, holder, activeAt]);
  }

  /** The oldest signals of a stream, in their order. */
  listSignals(id: string, limit: number): Promise<SignalEntity[]> {
    return LIST.run(this.dataSource, [id, limit]);
  }

  async removeSignal({ streamId, id }: SignalEntity): Promise<void> {
    await REMOVE.run(this.dataSource, [streamId, id]);
  }

  async noteSuccess(id: string, holder: string): Promise<void> {
    await SUCCEED.run(this.dataSource, [id, holder]);
  }

  /** Notes a failure and ends the lease. @returns undefined: the stream is another replica's by now, or gone */
  async noteFailure(id: string, holder: string, failure: string, retryMs: number): Promise<FailingStream | undefined> {
    return rowsOf(await FAIL.run(this.dataSource, [id, holder, failure, retryMs]))[0];
  }

  /** Pauses an enabled stream, and writes the signal that says so (SSF 1.0 §8.1.5). @returns false if it was not enabled */
  async pause(id: string, reason: string, now: Date): Promise<boolean> {
    return (await PAUSE.run(this.dataSource, [id, reason, now])).length > 0;
  }

  async replaceAuthorization(id: string, sealed: Buffer, former: Buffer): Promise<void> {
    await RESEAL.run(this.dataSource, [id, sealed, former]);
  }

  /** How many enabled streams have a failed push behind them and no success since. */
  async countFailing(): Promise<number> {
    return (await COUNT.run(this.dataSource, []))[0]?.failing ?? 0;
  }
}

/** TypeORM answers an UPDATE with its rows and their number. */
function rowsOf<Row>(answer: Row[]): Row[] {
  const [rows] = answer as unknown as [Row[], number];
  return rows;
}
