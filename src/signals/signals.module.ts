/**
 * Shared Signals: tells receivers what happens to passkeys (SSF 1.0, CAEP 1.0, RISC 1.0).
 *
 *  1. stream.entity.ts is what one receiver hears of, and signal.entity.ts a change that it has yet to hear of: the outbox.
 *  2. outbox.repository.ts has the SQL by which statements and transactions write the signals of their changes.
 *  3. set.ts builds the claims of a security event token from a signal; event-types.ts has the URIs.
 *  4. signal-keys.ts watches PASSKEY_SIGNAL_KEY_FILE, and signs. discovery.controller.ts publishes the keys and the
 *     configuration of the transmitter.
 *  5. push-scheduler.ts shares the pushed streams among the replicas, by the leases of push.repository.ts. push-stream.ts pushes one,
 *     push-answer.ts judges the answers, and authorization-seal.ts keeps what a receiver wants to see.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { PushModule } from '../push/push.module.js';
import { AuthorizationSeal } from './authorization-seal.js';
import { DiscoveryController } from './discovery.controller.js';
import { ExcludedSubjectEntity } from './excluded-subject.entity.js';
import { Outbox } from './outbox.repository.js';
import { PushRepository } from './push.repository.js';
import { PushScheduler } from './push-scheduler.js';
import { StreamPusher } from './push-stream.js';
import { SignalEntity } from './signal.entity.js';
import { SignalKeys } from './signal-keys.js';
import { StreamEntity } from './stream.entity.js';

@Module({
  imports: [PushModule, TypeOrmModule.forFeature([StreamEntity, ExcludedSubjectEntity, SignalEntity])],
  controllers: [DiscoveryController],
  providers: [AuthorizationSeal, Outbox, PushRepository, PushScheduler, SignalKeys, StreamPusher],
  exports: [Outbox, SignalKeys],
})
export class SignalsModule {}
