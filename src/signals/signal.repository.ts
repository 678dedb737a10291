import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, In, Repository } from 'typeorm';
import { makeUuidv7 } from '../config/random.js';
import { nameStatement } from '../database/named-statement.js';
import { SignalEntity, type SignalKind, type StreamFacts } from './signal.entity.js';
import type { StreamEntity } from './stream.entity.js';

/** SQL: the streams of $1 that have something to deliver: whatever happened if enabled, else only that they were changed. */
const FIND_READY = nameStatement<{ id: string }>(
  'signal-ready',
  `SELECT stream.id FROM unnest($1::uuid[]) AS waiting (id) JOIN signal_stream stream USING (id)
    WHERE EXISTS (SELECT FROM signal WHERE signal.stream_id = stream.id AND (stream.status = 'enabled' OR kind = 'stream-updated'))`,
);

/** SQL: $2: a time. Nothing is older than the first signal that is younger. */
const DROP_OLD = `
  WITH dropped AS (
    DELETE FROM signal WHERE stream_id = $1
       AND seq < coalesce((SELECT seq FROM signal WHERE stream_id = $1 AND happened_at >= $2 ORDER BY seq LIMIT 1), 9223372036854775807)
    RETURNING id)
  SELECT count(*)::integer AS count FROM dropped`;

/** SQL: $2: how many are kept. */
const DROP_BEYOND = `
  WITH dropped AS (
    DELETE FROM signal WHERE stream_id = $1 AND kind <> 'stream-updated'
       AND seq <= (SELECT seq FROM signal WHERE stream_id = $1 ORDER BY seq DESC OFFSET $2 LIMIT 1)
    RETURNING id)
  SELECT count(*)::integer AS count FROM dropped`;

const DROP_DENIED = `DELETE FROM signal WHERE stream_id = $1 AND rp_id IS NOT NULL AND NOT (rp_id = ANY ($2::text[]))`;

const DROP_ORPHANS = `DELETE FROM signal WHERE NOT EXISTS (SELECT FROM signal_stream stream WHERE stream.id = stream_id)`;

const MEASURE = `
  SELECT count(*)::integer AS waiting, min(happened_at) AS oldest FROM signal JOIN signal_stream stream ON stream.id = stream_id`;

/** What the outbox holds. */
export interface Backlog {
  readonly waiting: number;
  /** The time of the oldest change; null: nothing waits. */
  readonly oldest: Date | null;
}

/** Reads the outbox, and deletes what is delivered, or never will be. outbox.repository.ts writes it. */
@Injectable()
export class SignalRepository {
  constructor(@InjectRepository(SignalEntity) private readonly signals: Repository<SignalEntity>) {}

  /** Writes a signal about the stream itself, whatever its status. */
  async writeOwn(
    manager: EntityManager,
    streamId: string,
    { kind, facts, txn, happenedAt }: { kind: SignalKind; facts: StreamFacts; txn: string; happenedAt: Date },
  ): Promise<void> {
    const id = makeUuidv7(happenedAt);
    const [rpId, userId] = [null, null];
    await manager.insert(SignalEntity, { id, streamId, kind, rpId, userId, facts, txn, happenedAt });
  }

  /**
   * Lists the oldest signals of a stream. One that is not enabled has only those that tell that it was changed.
   *
   * @param relyingParties null: all
   */
  list(
    { id, status }: Pick<StreamEntity, 'id' | 'status'>,
    relyingParties: readonly string[] | null,
    limit: number,
  ): Promise<SignalEntity[]> {
    const query = this.signals.createQueryBuilder('s').where('s.stream_id = :id', { id }).orderBy('s.seq').limit(limit);
    if (status !== 'enabled') query.andWhere("s.kind = 'stream-updated'");
    if (relyingParties)
      query.andWhere('(s.rp_id IS NULL OR s.rp_id = ANY (:relyingParties))', { relyingParties: [...relyingParties] });
    return query.getMany();
  }

  /** @returns which of the streams have something to deliver */
  async findReady(streamIds: readonly string[]): Promise<string[]> {
    return (await FIND_READY.run(this.signals.manager, [streamIds])).map(({ id }) => id);
  }

  /**
   * Deletes signals that the receiver has, or refuses.
   *
   * @param ids ids that the stream does not have are ignored
   * @returns the ids of those that were there
   */
  async acknowledge(streamId: string, ids: readonly string[]): Promise<string[]> {
    if (ids.length === 0) return [];
    const where = { streamId, id: In([...ids]) };
    const result = await this.signals.createQueryBuilder().delete().where(where).returning('id').execute();
    return (result.raw as { readonly id: string }[]).map(({ id }) => id);
  }

  async deleteAll(manager: EntityManager, streamId: string): Promise<void> {
    await manager.delete(SignalEntity, { streamId });
  }

  /** @returns the number of signals that were older, and are gone */
  async dropOld(manager: EntityManager, streamId: string, before: Date): Promise<number> {
    return this.count(manager, DROP_OLD, [streamId, before]);
  }

  /** @returns the number of signals, the oldest, that were more than the stream may have, and are gone */
  async dropBeyond(manager: EntityManager, streamId: string, most: number): Promise<number> {
    return this.count(manager, DROP_BEYOND, [streamId, most]);
  }

  async dropDenied(manager: EntityManager, streamId: string, relyingParties: readonly string[]): Promise<void> {
    await manager.query(DROP_DENIED, [streamId, relyingParties]);
  }

  /** Deletes signals of changes that were made while their stream was deleted. */
  async dropOrphans(): Promise<void> {
    await this.signals.manager.query(DROP_ORPHANS);
  }

  async measure(): Promise<Backlog> {
    const [row] = await this.signals.manager.query<Backlog[]>(MEASURE);
    return row!;
  }

  private async count(manager: EntityManager, sql: string, values: unknown[]): Promise<number> {
    const [row] = await manager.query<{ count: number }[]>(sql, values);
    return row!.count;
  }
}
