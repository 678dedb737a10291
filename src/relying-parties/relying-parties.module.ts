/**
 * Relying parties: their origins, and the policy that each ceremony is held to.
 *
 *  - relying-party-policy.ts is the policy with its defaults. dto/policy.dto.ts validates one from outside.
 *  - relying-parties.service.ts stores a new version and its audit event in one transaction, and finds the warnings of
 *    policy-warnings.ts. initial-relying-parties.ts creates those of a file at boot.
 *  - setting-changes.ts knows which changes weaken the verification of ceremonies. The access policy can make them wait
 *    for an approval (src/approvals).
 *  - relying-party-seals.ts finds rows that something other than this service changed. relying-party-adoption.ts seals
 *    those of a version without seals, and compares the key with the database at the start.
 *  - relying-party-copies.ts keeps copies for a second, so that issuing a challenge need not read one.
 *  - origin.ts and related-origins.ts know which origins a browser accepts for an RP ID.
 *  - enrolled-credentials.ts is the question to src/credentials of a dry run: which passkeys would be refused?
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ApprovalsModule } from '../approvals/approvals.module.js';
import { InitialRelyingParties } from './initial-relying-parties.js';
import { RelyingPartiesController } from './relying-parties.controller.js';
import { RelyingPartyAdoption } from './relying-party-adoption.js';
import { RelyingPartyCopies } from './relying-party-copies.js';
import { RelyingPartySeals } from './relying-party-seals.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { RelyingPartyEntity } from './relying-party.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([RelyingPartyEntity]), ApprovalsModule],
  controllers: [RelyingPartiesController],
  providers: [
    RelyingPartiesService,
    RelyingPartyCopies,
    RelyingPartySeals,
    RelyingPartyAdoption,
    InitialRelyingParties,
  ],
  exports: [RelyingPartiesService, RelyingPartyCopies, RelyingPartySeals],
})
export class RelyingPartiesModule {}
