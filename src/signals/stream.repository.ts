import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { ExcludedSubjectEntity } from './excluded-subject.entity.js';
import { StreamEntity } from './stream.entity.js';

/** SQL: no other transaction counts the streams of the identity meanwhile. */
const LOCK_OWNER = `SELECT pg_advisory_xact_lock(hashtextextended('signal-stream ' || $1::text, 0))`;

/** Keeps streams, and the users whom they do not hear of. */
@Injectable()
export class StreamRepository {
  constructor(@InjectRepository(StreamEntity) private readonly streams: Repository<StreamEntity>) {}

  transaction<Result>(run: (manager: EntityManager) => Promise<Result>): Promise<Result> {
    return this.streams.manager.transaction(run);
  }

  find(owner: string, id: string): Promise<StreamEntity | null> {
    return this.streams.findOneBy({ owner, id });
  }

  list(owner: string): Promise<StreamEntity[]> {
    return this.streams.find({ where: { owner }, order: { id: 'ASC' } });
  }

  listAll(): Promise<StreamEntity[]> {
    return this.streams.find({ order: { id: 'ASC' } });
  }

  /** Counts the streams of an identity. Until the transaction ends, it gets no other. */
  async countForCreation(manager: EntityManager, owner: string): Promise<number> {
    await manager.query(LOCK_OWNER, [owner]);
    return manager.countBy(StreamEntity, { owner });
  }

  /** Locks a stream until the transaction ends, so that one change follows another. */
  lock(manager: EntityManager, owner: string, id: string): Promise<StreamEntity | null> {
    return manager.findOne(StreamEntity, { where: { owner, id }, lock: { mode: 'pessimistic_write' } });
  }

  async insert(manager: EntityManager, stream: StreamEntity): Promise<void> {
    await manager.insert(StreamEntity, stream);
  }

  async update(
    { id }: Pick<StreamEntity, 'id'>,
    changed: Partial<Omit<StreamEntity, 'id' | 'owner' | 'aud' | 'createdAt'>>,
    manager: EntityManager = this.streams.manager,
  ): Promise<void> {
    await manager.update(StreamEntity, { id }, changed);
  }

  async delete(manager: EntityManager, id: string): Promise<void> {
    await manager.delete(ExcludedSubjectEntity, { streamId: id });
    await manager.delete(StreamEntity, { id });
  }

  countExcluded(manager: EntityManager, streamId: string): Promise<number> {
    return manager.countBy(ExcludedSubjectEntity, { streamId });
  }

  /** Does nothing if the user is excluded already. */
  async exclude(manager: EntityManager, subject: ExcludedSubjectEntity): Promise<void> {
    await manager.createQueryBuilder().insert().into(ExcludedSubjectEntity).values(subject).orIgnore().execute();
  }

  async include(manager: EntityManager, { streamId, rpId, userId }: ExcludedSubjectEntity): Promise<void> {
    await manager.delete(ExcludedSubjectEntity, { streamId, rpId, userId });
  }
}
