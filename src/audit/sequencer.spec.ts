import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../test/support/fake-clock.js';
import { openTestDataSource, type TestDataSource } from '../../test/support/test-data-source.js';
import { auditRow } from './audit-row.js';
import { readLogSigners } from './log/log-signer.js';
import { LogStorage } from './log-storage.js';
import { type Batch, Sequencer } from './sequencer.js';

const ORIGIN = 'passkey-manager/test';
const PEM = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

let database: TestDataSource;
beforeAll(async () => {
  database = await openTestDataSource();
});
afterAll(() => database.close());

function sequencer(): Sequencer {
  const keys = { origin: ORIGIN, signers: readLogSigners(PEM, ORIGIN), verifierKeys: '' };
  return new Sequencer(database.dataSource, new FakeClock(), keys, new LogStorage(database.dataSource));
}

/** As a transaction of this number would have. */
async function write(tx: string): Promise<string> {
  const { id, values } = auditRow({ type: 'service.start', outcome: 'success' }, null, new Date());
  await database.sql(
    `INSERT INTO audit_event (id, event, leaf_hash, type, outcome, tx)
     VALUES ($1, $2, sha256('\\x00'::bytea || convert_to($2, 'UTF8')), 'service.start', 'success', $3::xid8)`,
    [id, values[1], tx],
  );
  return id;
}

const order = async (): Promise<string[]> =>
  (await database.sql<{ event_id: string }>('SELECT event_id FROM audit_leaf ORDER BY leaf_index')).map(
    ({ event_id }) => event_id,
  );

describe('the order of the log', () => {
  it('is that of the numbers of transactions, however many digits they have', async () => {
    const ids = [await write('9'), await write('10'), await write('99'), await write('100')];
    const log = sequencer();
    const { checkpoint } = (await log.sequence(true)) as Batch;
    expect([checkpoint.size, checkpoint.lastTx, checkpoint.lastId]).toEqual([4, '100', ids[3]]);
    expect(await order()).toEqual(ids);
    expect(await log.sequence(true)).toBeUndefined();
    const next = await write('101');
    await log.sequence(true);
    expect(await order()).toEqual([...ids, next]);
  });
});
