import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Combined } from './combined.js';
import { ACCEPT_AUTHENTICATION, ISSUE_AUTHENTICATION, REDEEM } from './hot-path.js';

/** The connections of the hot statements. */
export const HOT_DATA_SOURCE = Symbol('HOT_DATA_SOURCE');

/** The statements of an authentication, combined over the requests of this process. */
@Injectable()
export class HotPath implements OnApplicationShutdown {
  readonly issueAuthentication;
  readonly redeem;
  readonly accept;

  constructor(@Inject(HOT_DATA_SOURCE) private readonly dataSource: DataSource) {
    // A user's challenges are counted before each.
    this.issueAuthentication = new Combined(ISSUE_AUTHENTICATION, dataSource, ({ rpId, userId }) =>
      userId === undefined ? undefined : JSON.stringify([rpId, userId]),
    );
    this.redeem = new Combined(REDEEM, dataSource, ({ challengeId }) => challengeId.toLowerCase());
    this.accept = new Combined(ACCEPT_AUTHENTICATION, dataSource, ({ credential }) => credential.id);
  }

  /** When nothing is asked any more. */
  async onApplicationShutdown(): Promise<void> {
    await this.dataSource.destroy();
  }
}
