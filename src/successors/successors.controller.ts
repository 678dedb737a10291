import { Controller, Get, Param } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { Problem } from '../http/problem.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { RpIdParam } from '../relying-parties/dto/put-relying-party.dto.js';
import { RelyingPartiesService } from '../relying-parties/relying-parties.service.js';
import { MigrationProgressResponse } from './dto/migration-progress.response.js';
import { readCounts } from './succession.repository.js';

@Controller('v1/relying-parties/:rpId/migration')
export class SuccessorsController {
  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    private readonly parties: RelyingPartiesService,
    private readonly access: AccessService,
  ) {}

  /** @throws Problem relying-party-denied, also if the caller may not act for the successor; not-found if there is none */
  @Get()
  @Requires('relying-parties:read')
  async get(@Context() context: AuthorizedContext, @Param() { rpId }: RpIdParam): Promise<MigrationProgressResponse> {
    await this.access.authorizeRelyingParty(context, rpId);
    const party = await this.parties.get(rpId);
    const successor = party.successor?.rpId;
    if (successor === undefined) throw new Problem('not-found', { detail: `${rpId} has no successor` });
    await this.access.authorizeRelyingParty(context, successor);
    const counts = await readCounts(this.dataSource, [{ rpId, successor }]);
    return MigrationProgressResponse.of(party, this.parties.hasEnded(party), counts.get(rpId));
  }
}
