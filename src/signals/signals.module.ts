/**
 * Shared Signals: tells receivers what happens to passkeys (SSF 1.0, CAEP 1.0, RISC 1.0).
 *
 *  1. stream.entity.ts is what one receiver hears of, and signal.entity.ts a change that it has yet to hear of: the outbox.
 *  2. set.ts builds the claims of a security event token from a signal; event-types.ts has the URIs.
 */
import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { ExcludedSubjectEntity } from './excluded-subject.entity.js';
import { SignalEntity } from './signal.entity.js';
import { StreamEntity } from './stream.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([StreamEntity, ExcludedSubjectEntity, SignalEntity])],
})
export class SignalsModule {}
