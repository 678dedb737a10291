import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Combined } from './combined.js';
import { ACCEPT_AUTHENTICATION, ISSUE_AUTHENTICATION, REDEEM } from './hot-path.js';

/** The statements of an authentication, combined over the requests of this process. */
@Injectable()
export class HotPath {
  /** A user's challenges are counted before each. */
  readonly issueAuthentication;
  readonly redeem;
  readonly accept;

  constructor(@InjectDataSource() dataSource: DataSource) {
    this.issueAuthentication = new Combined(ISSUE_AUTHENTICATION, dataSource, ({ rpId, userId }) =>
      userId === undefined ? undefined : JSON.stringify([rpId, userId]),
    );
    this.redeem = new Combined(REDEEM, dataSource, ({ challengeId }) => challengeId.toLowerCase());
    this.accept = new Combined(ACCEPT_AUTHENTICATION, dataSource, ({ credential }) => credential.id);
  }
}
