/**
 * Shared Signals: tells receivers what happens to passkeys (SSF 1.0, CAEP 1.0, RISC 1.0).
 *
 *  1. stream.entity.ts is what one receiver hears of, and signal.entity.ts a change that it has yet to hear of: the outbox.
 *  2. outbox.repository.ts has the SQL by which statements and transactions write the signals of their changes.
 *  3. set.ts builds the claims of a security event token from a signal; event-types.ts has the URIs.
 *  4. signal-keys.ts watches PASSKEY_SIGNAL_KEY_FILE, and signs. discovery.controller.ts publishes the keys and the
 *     configuration of the transmitter.
 *  5. streams.controller.ts is the API of receivers: streams.service.ts makes, changes and deletes streams, subjects.service.ts
 *     decides whom they hear of, and stream-configuration.ts shows them.
 *  6. poll.controller.ts hands out signals (polls.service.ts); waiting-polls.ts lets polls wait for one.
 *  7. stream-upkeep.ts bounds the outbox, and disables streams whose receiver is gone.
 *  8. compromised-models.ts tells of the passkeys of a model that FIDO metadata newly calls compromised.
 *  9. push-scheduler.ts shares the pushed streams among the replicas, by the leases of push.repository.ts. push-stream.ts pushes one,
 *     push-answer.ts judges the answers, authorization-seal.ts keeps what a receiver wants to see, and deliveries.ts decides
 *     which receivers can be pushed to.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PushModule } from '../push/push.module.js';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { AuthorizationSeal } from './authorization-seal.js';
import { CompromisedModels } from './compromised-models.js';
import { CompromisedModelsRepository } from './compromised-models.repository.js';
import { Deliveries } from './deliveries.js';
import { DiscoveryController } from './discovery.controller.js';
import { ExcludedSubjectEntity } from './excluded-subject.entity.js';
import { Outbox } from './outbox.repository.js';
import { PushRepository } from './push.repository.js';
import { PushScheduler } from './push-scheduler.js';
import { StreamPusher } from './push-stream.js';
import { SignalEntity } from './signal.entity.js';
import { PollController } from './poll.controller.js';
import { PollsService } from './polls.service.js';
import { SignalKeys } from './signal-keys.js';
import { SignalRepository } from './signal.repository.js';
import { StreamEntity } from './stream.entity.js';
import { StreamUpkeep } from './stream-upkeep.js';
import { StreamRepository } from './stream.repository.js';
import { StreamsController } from './streams.controller.js';
import { StreamsService } from './streams.service.js';
import { SubjectsService } from './subjects.service.js';
import { WaitingPolls } from './waiting-polls.js';

@Module({
  imports: [
    AuthenticatorsModule,
    PushModule,
    TypeOrmModule.forFeature([StreamEntity, ExcludedSubjectEntity, SignalEntity]),
  ],
  controllers: [DiscoveryController, PollController, StreamsController],
  providers: [
    AuthorizationSeal,
    CompromisedModels,
    CompromisedModelsRepository,
    Deliveries,
    Outbox,
    PollsService,
    PushRepository,
    PushScheduler,
    SignalKeys,
    SignalRepository,
    StreamPusher,
    StreamRepository,
    StreamsService,
    StreamUpkeep,
    SubjectsService,
    WaitingPolls,
  ],
  exports: [Outbox, SignalKeys, StreamUpkeep],
})
export class SignalsModule {}
