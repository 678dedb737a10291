/**
 * The transparency log. It takes the pending events that src/audit has written, and produces signed checkpoints and, for
 * auditors, events, proofs and exports. The algorithms are in src/tlog.
 *
 * About once a second, checkpoint-scheduler.ts runs a turn:
 *
 * 1. log-locks.repository.ts takes the turn, and trusted-log.ts decides if the newest checkpoint may be continued, also by what
 *    log-memory.ts read from the anchor file. restorations.ts records that the log gave up what a restored database lacks.
 * 2. pending-events.repository.ts takes a batch. taken-events.ts selects the events that the service wrote, or the owner of
 *    the tables. sequencer.ts turns them into leaves and signs a checkpoint with the keys of log-keys.ts. log.repository.ts
 *    stores both, over the connections of log-writer.ts. key-changes.ts records that a process has begun with other keys.
 * 3. src/anchors delivers the checkpoint to storage that the service does not control.
 * 4. standstill-detector.ts measures how far the log is behind, log-check.ts compares stored events with their leaves, and
 *    log-failures.ts reports what goes wrong. unsealed-events.ts counts the events that the service did not write.
 *
 * log-partitions.ts makes the months of `audit_event`, and begin-log.ts makes them before the first event of a process.
 *
 * Auditors list events by audit.controller.ts (audit-reader.ts). transparency-log.controller.ts serves keys, checkpoints,
 * proofs (log-proofs.ts) and exports (log-export.ts, log-lines.ts). The SQL of the log's tables is in the files named *.repository.ts.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Global, Module } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { CONFIG, type Config, ConfigError } from '../config/config.js';
import { Anchors } from '../anchors/anchors.js';
import { SealRegister } from '../seals/seal-register.js';
import { AuditArchiveEntity, AuditCheckpointEntity, AuditLeafEntity, AuditNodeEntity } from './log.entities.js';
import { AuditController } from './audit.controller.js';
import { AuditEventEntity } from '../audit/audit-event.entity.js';
import { AuditReader } from './audit-reader.js';
import { LogCheck } from './log-check.js';
import { LogMemory } from './log-memory.js';
import { LogExport } from './log-export.js';
import { LogFailures } from './log-failures.js';
import { CheckpointScheduler } from './checkpoint-scheduler.js';
import { KeyChanges } from './key-changes.js';
import { describeForeign, LOG_KEYS, type LogKeys, readLogKeys } from './log-keys.js';
import { LogPartitions } from './log-partitions.js';
import { LogLines } from './log-lines.js';
import { LogWriter } from './log-writer.js';
import { StandstillDetector } from './standstill-detector.js';
import { LogProofs } from './log-proofs.js';
import { LogRepository } from './log.repository.js';
import { PendingEventsRepository } from './pending-events.repository.js';
import { Restorations } from './restorations.js';
import { Sequencer } from './sequencer.js';
import { TransparencyLogController } from './transparency-log.controller.js';
import { TrustedLog } from './trusted-log.js';
import { UnsealedEvents } from './unsealed-events.js';

const ENTITIES = [AuditArchiveEntity, AuditEventEntity, AuditLeafEntity, AuditNodeEntity, AuditCheckpointEntity];

@Global()
@Module({
  imports: [TypeOrmModule.forFeature(ENTITIES)],
  controllers: [TransparencyLogController, AuditController],
  providers: [
    { provide: LOG_KEYS, inject: [CONFIG, getDataSourceToken(), SealRegister], useFactory: provideLogKeys },
    {
      provide: LogWriter,
      inject: [CONFIG, getDataSourceToken()],
      useFactory: (config: Config, dataSource: DataSource) => LogWriter.open(config, dataSource),
    },
    { provide: LogMemory, inject: [CONFIG, LOG_KEYS], useFactory: provideLogMemory },
    AuditReader,
    LogRepository,
    TrustedLog,
    PendingEventsRepository,
    LogFailures,
    LogPartitions,
    UnsealedEvents,
    LogCheck,
    StandstillDetector,
    KeyChanges,
    Restorations,
    Sequencer,
    LogProofs,
    LogLines,
    LogExport,
    Anchors,
    CheckpointScheduler,
  ],
  exports: [CheckpointScheduler, LOG_KEYS],
})
export class AuditLogModule {}

/**
 * Reads the log's keys. In development it also writes the public keys to the data directory, beside the private ones.
 *
 * @param _ a database of another deployment lacks both keys, and the start always names the binding key first
 * @throws ConfigError if other keys signed the newest checkpoint, or it is of a log with another name
 */
async function provideLogKeys(config: Config, dataSource: DataSource, _: SealRegister): Promise<LogKeys> {
  const keys = readLogKeys(config);
  const latest = await new LogRepository(dataSource).findLatestCheckpoint();
  const foreign = latest && describeForeign(keys, latest.note);
  if (foreign !== undefined) throw new ConfigError([foreign]);
  if (!config.production) writeFileSync(join(config.dataDir, 'audit.pub'), keys.verifierKeys);
  return keys;
}

function provideLogMemory(config: Config, keys: LogKeys): LogMemory {
  return LogMemory.read(config, keys);
}
