import { Entity, PrimaryColumn } from 'typeorm';

/** A user whom a stream does not hear of, because its receiver removed the subject (SSF 1.0 §8.1.3.3). */
@Entity('signal_excluded_subject')
export class ExcludedSubjectEntity {
  @PrimaryColumn({ type: 'uuid', name: 'stream_id' })
  streamId: string;

  @PrimaryColumn('text', { name: 'rp_id' })
  rpId: string;

  @PrimaryColumn('text', { name: 'user_id' })
  userId: string;
}
