import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CLOCK, type Clock } from '../config/clock.js';
import { LAST_USED_FIRST } from './descriptors.js';
import { MAX_CREDENTIALS_PER_USER } from '../relying-parties/relying-party-policy.js';
import { createListShape, type ListShape } from './decoy.js';

const KEPT_MS = 600_000;

/**
 * SQL: the 64 most frequent shapes of a relying party's lists, with the number of users who have each. A relying party
 * with up to 1,000 users is counted whole. For a larger one, the statement counts at most 1,000 of its users, from the
 * deployment's 10,000 users with the lowest `audit_uid`. That id is random, so the sample is fair; it is the same in
 * all replicas, and no user can choose to be in it.
 */
const SHAPES = `
  WITH first AS MATERIALIZED (SELECT user_id FROM user_handle WHERE rp_id = $1 LIMIT 1001),
       sampled AS (
         SELECT user_id FROM (SELECT rp_id, user_id FROM user_handle ORDER BY audit_uid LIMIT 10000) AS lowest
          WHERE rp_id = $1 AND (SELECT count(*) FROM first) > 1000 LIMIT 1000),
       users AS (SELECT user_id FROM first WHERE (SELECT count(*) FROM first) <= 1000 UNION ALL SELECT user_id FROM sampled),
       lists AS (
         SELECT jsonb_agg(jsonb_build_object('bytes', octet_length(credential_id), 'transports', ARRAY(SELECT unnest(transports) COLLATE "C" AS transport ORDER BY transport))
                          ORDER BY ${LAST_USED_FIRST}) AS list
           FROM users JOIN credential USING (user_id)
          WHERE rp_id = $1 AND status = 'active' GROUP BY user_id)
  SELECT list, count(*)::integer AS users FROM lists GROUP BY list ORDER BY users DESC, list LIMIT 64`;

interface Held {
  readonly shapes: readonly ListShape[];
  readonly readAt: number;
}

/** Caches the shapes of each relying party's lists for ten minutes. */
@Injectable()
export class DecoyShapes {
  private readonly held = new Map<string, Held>();
  private readonly reading = new Map<string, Promise<readonly ListShape[]>>();

  constructor(
    @InjectDataSource() private readonly dataSource: Pick<DataSource, 'query'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Waits for the database only on the first call for a relying party. Later calls get the cached shapes and renew them
   * in the background.
   */
  async getShapes(rpId: string): Promise<readonly ListShape[]> {
    const held = this.held.get(rpId);
    if (held && this.clock.now().getTime() < held.readAt + KEPT_MS) return held.shapes;
    const read = this.reading.get(rpId) ?? this.read(rpId);
    if (!held) return read;
    // If this read fails, a later call reads again.
    read.catch(() => undefined);
    return held.shapes;
  }

  private read(rpId: string): Promise<readonly ListShape[]> {
    const read = this.query(rpId).finally(() => this.reading.delete(rpId));
    this.reading.set(rpId, read);
    return read;
  }

  private async query(rpId: string): Promise<readonly ListShape[]> {
    const readAt = this.clock.now().getTime();
    const rows = await this.dataSource.query<Pick<ListShape, 'list' | 'users'>[]>(SHAPES, [rpId]);
    const shapes = rows.map(({ list, users }) => createListShape(list.slice(0, MAX_CREDENTIALS_PER_USER), users));
    this.held.set(rpId, { shapes, readAt });
    return shapes;
  }
}
