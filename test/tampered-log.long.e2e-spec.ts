import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import fc from 'fast-check';
import { ExportError } from '../src/tlog/lines.js';
import { verifyExport } from '../src/tlog/export-verifier.js';
import { ALTERATIONS } from './support/alterations.js';
import { LOG_TEST_KEYS, StoredLog } from './support/stored-log.js';

Logger.overrideLogger(false);

const SIZE = 600;
const KEYS = LOG_TEST_KEYS.signers.map(({ key }) => key);
const TABLES = ['audit_event', 'audit_leaf', 'audit_node', 'audit_checkpoint'];

let log: StoredLog;
/** Checkpoints that were signed over time and kept elsewhere. */
const anchored: string[] = [];
let untouched: string;

beforeAll(async () => {
  log = await StoredLog.open();
  for (let size = 100; size <= SIZE; size += 100) {
    await log.replica.record(100);
    await log.replica.settle();
    const { note, ...latest } = (await log.replica.storage.findLatestCheckpoint())!;
    expect(latest.size).toBe(size);
    anchored.push(note);
  }
  untouched = await exported();
  for (const table of TABLES) await log.sql(`CREATE TABLE ${table}_untouched AS TABLE ${table}`);
});
afterAll(() => log.close());

async function restore(): Promise<void> {
  const refill = TABLES.map((table) => `INSERT INTO ${table} TABLE ${table}_untouched`);
  await log.sql(`TRUNCATE ${TABLES.join()}; ${refill.join('; ')}`);
}

/** Exports the log as the service answers now. */
async function exported(): Promise<string> {
  const { size, note } = await log.replica.proofs.getCheckpoint();
  let text = '';
  for await (const page of log.replica.lines.formatRange({ from: 0, to: size }, { size, note }, null))
    text += page.toString();
  return text;
}

async function verify(text: string): Promise<ExportError | undefined> {
  const options = { anchored: [Readable.from(anchored)], since: anchored.at(-1), retainedSince: new Date(0) };
  try {
    await verifyExport(Readable.from([Buffer.from(text)]), KEYS, options);
    return undefined;
  } catch (error) {
    if (error instanceof ExportError) return error;
    throw error;
  }
}

describe('a log whose rows the owner of its database', () => {
  it('left alone verifies', async () => {
    expect(await verify(untouched)).toBeUndefined();
  });

  it.each(Object.entries(ALTERATIONS))('altered is caught at the altered place: %s', async (_, alter) => {
    const place = fc.nat(SIZE - 1);
    await fc.assert(
      fc.asyncProperty(place, place, async (at, other) => {
        const location = await alter(log, at, other, SIZE);
        const text = await exported();
        await restore();
        if (location === 'unseen') return text === untouched;
        const fault = await verify(text);
        expect([fault?.line, fault?.lastLine, fault?.message]).toEqual([...location, fault?.message]);
        return fault !== undefined;
      }),
      { numRuns: 6 },
    );
  });
});
