import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { SampleLog } from '../../test/support/sample-log.js';
import { toFirstId } from '../../src/audit/audit-event.repository.js';
import { RowHistory } from '../../src/reconciliation/row-history.js';
import { demandCanonical } from '../../src/tlog/canonical-json.js';
import { ExportedEvents } from './exported-events.js';
import { LeafRanges } from './leaf-ranges.js';

const KEYS = SampleLog.SIGNERS.map(({ key }) => key);
const [ID, UID] = ['01955120-7c4b-7000-8000-000000000001', '11111111-1111-4111-8111-111111111111'];

/** An event as the service records it, as far as it matters here. Its time is that of its place. */
function makeEvent(leaf: number, type: string, unmapped: object, members: object = {}): string {
  const uid = `${toFirstId(SampleLog.computeTime(leaf)).slice(0, 14)}7000-8000-${leaf.toString(16).padStart(12, '0')}`;
  const time = SampleLog.computeTime(leaf);
  return demandCanonical({ metadata: { event_code: type, uid }, status: 'Success', time, unmapped, ...members });
}

const credential = { uid: ID, user_uid: UID };
const change = (leaf: number, type: string, version?: number, members = {}): string =>
  makeEvent(leaf, type, { credential, rp_id: 'rp', ...(version && { credential_version: version }) }, members);

const EVENTS = [
  change(0, 'credential.register', 1),
  change(1, 'credential.verify'),
  change(2, 'credential.verify', 2),
  change(3, 'credential.rename', 9, { status: 'Failure' }),
  change(4, 'credential.revoke', 3),
  makeEvent(5, 'relying-party.create', { rp_id: 'rp', version: 1 }),
  makeEvent(6, 'relying-party.update', { rp_id: 'rp', version: 2 }),
  makeEvent(7, 'user.erase', { rp_id: 'rp' }, { entity: { uid: UID } }),
];

/** Reads leaves [from, to) of the log as one file. Those below `erased` have left the database. */
async function read(exported: ExportedEvents, from: number, to: number, erased = 0): Promise<void> {
  const log = new SampleLog(EVENTS);
  const checkpoint = await log.makeCheckpoint(EVENTS.length);
  for (let leaf = 0; leaf < erased; leaf += 1) log.events[leaf] = null;
  const lines = await log.export(from, to, checkpoint, EVENTS.length);
  await exported.read(Readable.from(lines.map((line) => Buffer.from(line))), KEYS, [], () => undefined);
}

function historyOf(exported: ExportedEvents, subject: string, uid: string | null = null): RowHistory {
  const history = new RowHistory();
  exported.complete(subject, uid, history);
  return history;
}

describe('exported events', () => {
  it('have the last word about each row, and the erasure of its user', async () => {
    const exported = new ExportedEvents();
    await read(exported, 0, 8);
    exported.settle([]);
    expect(historyOf(exported, ID)).toMatchObject({
      status: 'revoked',
      highest: { version: 3, leaf: 4 },
      erasure: { leaf: 7 },
    });
    expect(historyOf(exported, 'rp')).toMatchObject({ newest: { version: 2 } });
    expect(historyOf(exported, 'rp').erasure).toBeUndefined();
    expect(historyOf(exported, UID, UID).erasure).toMatchObject({ leaf: 7 });
    expect(exported.completeSince).toBe(-Infinity);
  });

  it('list the rows that nobody has seen, without those of erased users', async () => {
    const exported = new ExportedEvents();
    await read(exported, 0, 7);
    expect([...exported.listRemaining('credential')].map(({ subject }) => subject)).toEqual([ID]);
    expect([...exported.listRemaining('relying_party')].map(({ subject }) => subject)).toEqual(['rp']);
    exported.forget(['rp']);
    expect([...exported.listRemaining('relying_party')]).toEqual([]);
    await read(exported, 7, 8);
    expect([...exported.listRemaining('credential')]).toEqual([]);
  });

  it('may come from several files in any order', async () => {
    const exported = new ExportedEvents();
    await read(exported, 4, 8);
    await read(exported, 0, 4);
    exported.settle([]);
    expect(historyOf(exported, ID)).toMatchObject({ status: 'revoked', highest: { version: 3 } });
    expect(exported.completeSince).toBe(-Infinity);
  });

  describe('are not the whole history', () => {
    it('before the first event of a file, unless another file has the rest', async () => {
      const exported = new ExportedEvents();
      await read(exported, 4, 8);
      exported.settle([]);
      expect(exported.completeSince).toBe(SampleLog.computeTime(4));
    });

    it('where events are erased, unless an archive has them', async () => {
      const exported = new ExportedEvents();
      await read(exported, 0, 8, 3);
      const known = new ExportedEvents();
      await read(known, 0, 8, 3);
      await read(known, 0, 3);
      exported.settle([]);
      known.settle([]);
      expect([exported.completeSince, known.completeSince]).toEqual([SampleLog.computeTime(2), -Infinity]);
    });

    it('where months have left the database, unless their files are given', async () => {
      const month = { fromLeaf: 0, toLeaf: 5, upperId: toFirstId(SampleLog.computeTime(5)) };
      const [exported, part, known] = [new ExportedEvents(), new ExportedEvents(), new ExportedEvents()];
      await read(part, 0, 4);
      await read(known, 0, 5);
      for (const each of [exported, part, known]) each.settle([month]);
      const until = SampleLog.computeTime(5);
      expect([exported, part, known].map(({ completeSince }) => completeSince)).toEqual([until, until, -Infinity]);
    });
  });
});

describe('ranges of leaves', () => {
  it('find the first leaf that is missing', () => {
    const ranges = new LeafRanges();
    for (const leaf of [5, 6, 7, 0, 1, 2, 3, 7, 8]) ranges.add(leaf);
    expect(ranges.findGap(0, 4)).toBeUndefined();
    expect(ranges.findGap(0, 9)).toBe(4);
    expect(ranges.findGap(5, 9)).toBeUndefined();
    expect(ranges.findGap(5, 10)).toBe(9);
    expect(ranges.findGap(4, 4)).toBeUndefined();
  });
});
