import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type pg from 'pg';
import { Combined } from './combined.js';
import { throughPool } from './named-statement.js';
import { ACCEPT_AUTHENTICATION, ISSUE_AUTHENTICATION, REDEEM } from './hot-path.js';

/** Token of the pool for the hot statements. */
export const HOT_POOL = Symbol('HOT_POOL');

/** Runs the three statements of an authentication, batched over the requests of this process. */
@Injectable()
export class HotPath implements OnApplicationShutdown {
  readonly issueAuthentication;
  readonly redeem;
  readonly accept;

  constructor(@Inject(HOT_POOL) private readonly pool: Pick<pg.Pool, 'query' | 'end'>) {
    const through = throughPool(pool);
    // Challenges of one user go one after the other, because each statement counts those before.
    this.issueAuthentication = new Combined(ISSUE_AUTHENTICATION, through, ({ rpId, userId }) =>
      userId === undefined ? undefined : JSON.stringify([rpId, userId]),
    );
    this.redeem = new Combined(REDEEM, through, ({ challengeId }) => challengeId.toLowerCase());
    this.accept = new Combined(ACCEPT_AUTHENTICATION, through, ({ credential }) => credential.id);
  }

  /** Closes the pool after the last request. */
  async onApplicationShutdown(): Promise<void> {
    await this.pool.end();
  }
}
