import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { AuditEventEntity } from '../../src/audit/audit-event.entity.js';
import * as logEntities from '../../src/audit-log/log.entities.js';
import { KeyChanges } from '../../src/audit-log/key-changes.js';
import { LogFailures } from '../../src/audit-log/log-failures.js';
import { makeLogKeys } from '../../src/audit-log/log-keys.js';
import { LogMemory } from '../../src/audit-log/log-memory.js';
import { LogRepository } from '../../src/audit-log/log.repository.js';
import { PendingEventsRepository } from '../../src/audit-log/pending-events.repository.js';
import { Restorations } from '../../src/audit-log/restorations.js';
import { Sequencer } from '../../src/audit-log/sequencer.js';
import { TrustedLog } from '../../src/audit-log/trusted-log.js';
import { UnsealedEvents } from '../../src/audit-log/unsealed-events.js';
import { deriveSealKey } from '../../src/config/secret-keys.js';
import { CredentialEntity } from '../../src/credentials/credential.entity.js';
import { createCeremonyPool, createDataSourceOptions } from '../../src/database/data-source.js';
import { adaptPool } from '../../src/database/named-statement.js';
import { EventMacs } from '../../src/audit/event-macs.js';
import { Seals } from '../../src/seals/seals.js';
import { readLogSigners } from '../../src/tlog/keys.js';
import { measureAuthentications, sumBytes } from '../../test/support/authentication-bytes.js';
import { HERE } from '../contenders/checkout.js';
import { aligned } from '../report/aligned.js';
import { conditions, described } from '../report/conditions.js';
import type { Database } from './database.js';

const AUTHENTICATIONS = 204_800;
const ORIGIN = 'passkey-manager/default';
const ENTITIES = [...Object.values(logEntities), AuditEventEntity, CredentialEntity];

const KEYS = { seals: [deriveSealKey(Buffer.alloc(32, 1))] } as const;
const REGISTER = {
  areSealsNew: true,
  areOldAccepted: false,
  isRetired: () => false,
  isRetiring: () => false,
  missingKey: undefined,
};

/** Shows the bytes that an authentication leaves in each table and index, and that it writes to the WAL. */
export async function showBytes(database: Database, directory: string): Promise<void> {
  const url = await database.create('bytes');
  HERE.prepare(directory);
  HERE.migrate(url);
  const owner = new pg.Client({ connectionString: url });
  await owner.connect();
  const pool = createCeremonyPool(url);
  const dataSource = await new DataSource({ ...createDataSourceOptions(url), entities: ENTITIES }).initialize();
  const sequencer = makeSequencer(dataSource, directory);
  const sequence = (): Promise<unknown> => sequencer.sequence(true);
  const meter = { owner, dataSource, through: adaptPool(pool), keys: KEYS, sequence };
  const { disk, wal } = await measureAuthentications(meter, AUTHENTICATIONS);
  await Promise.all([owner.end(), pool.end(), dataSource.destroy()]);
  const lines: [string, number][] = [
    ...Object.entries(disk).filter(([, bytes]) => bytes >= 0.5),
    ['disk', sumBytes(disk)],
    ...Object.entries(wal),
    ['WAL', sumBytes(wal)],
  ];
  const table = aligned([
    ['bytes for an authentication', ''],
    ...lines.map(([name, bytes]) => [name, bytes.toFixed(0)]),
  ]);
  console.log([described(conditions(directory, database.version)), table].join('\n\n'));
}

function makeSequencer(dataSource: DataSource, directory: string): Sequencer {
  const signers = readLogSigners(readFileSync(join(directory, 'audit.key'), 'utf8'), ORIGIN);
  const keys = makeLogKeys(ORIGIN, signers);
  const clock = { now: () => new Date() };
  const [memory, storage] = [new LogMemory(), new LogRepository(dataSource)];
  const trusted = new TrustedLog(keys, storage, memory);
  const failures = new LogFailures(clock, undefined as never, undefined as never);
  const keyChanges = new KeyChanges(keys, undefined as never);
  const unsealed = new UnsealedEvents(clock, failures);
  const macs = new EventMacs(new Seals(KEYS, REGISTER), REGISTER);
  const restorations = new Restorations(memory, storage, undefined as never);
  return new Sequencer(
    ...([dataSource, clock, keys, trusted, new PendingEventsRepository(dataSource), failures] as const),
    ...([keyChanges, restorations, unsealed, macs, REGISTER] as const),
  );
}
