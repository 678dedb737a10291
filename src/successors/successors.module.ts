/**
 * Relying parties whose users move to a successor (docs/domain-change.md): how far they are, and what happens at the end.
 *
 *  1. succession-watch.ts looks after them in the background, in one process of each replica. Replicas share the table
 *     `succession` (succession.repository.ts), and one of them counts.
 *  2. user-count.ts counts the users of a relying party and of its successor, a page at a time
 *     (moved-users.repository.ts).
 *  3. ended-relying-parties.ts records an end in the audit log, once.
 *  4. successors.controller.ts shows the last count.
 *
 * What a successor is and when a relying party has ended: src/relying-parties/successor.ts. Who has no passkey at the successor
 * yet, told at a sign-in: src/credentials/successor-passkeys.ts.
 */
import { Module } from '@nestjs/common';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { EndedRelyingParties } from './ended-relying-parties.js';
import { SuccessionWatch } from './succession-watch.js';
import { SuccessorsController } from './successors.controller.js';

@Module({
  imports: [RelyingPartiesModule],
  controllers: [SuccessorsController],
  providers: [EndedRelyingParties, SuccessionWatch],
})
export class SuccessorsModule {}
