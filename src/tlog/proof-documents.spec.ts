import { describe, expect, it } from '@jest/globals';
import { makeInclusionProof } from './proofs.js';
import { verifyEvent } from './proof-documents.js';
import { SampleLog } from '../../test/support/sample-log.js';

const SIZE = 300;
const INDEX = 123;
const LOG = new SampleLog(SIZE);
const KEYS = SampleLog.SIGNERS.map(({ key }) => key);
const CHECKPOINT = await LOG.makeCheckpoint(SIZE);
const SMALLER = await LOG.makeCheckpoint(SIZE - 1);
const EVENT = JSON.parse(LOG.events[INDEX]!) as { metadata: object; user: object; time: number };

const PROOF = {
  leafIndex: INDEX,
  leafHash: LOG.leaves[INDEX]!.toString('base64url'),
  treeSize: SIZE,
  proof: (await makeInclusionProof(LOG.reader, INDEX, SIZE)).map((hash) => hash.toString('base64url')),
  checkpoint: CHECKPOINT,
};

const ALTERED = 'the event was altered, or is another one than was logged: its hash is not that of the proof';

const prove = (event: unknown, proof: unknown = PROOF): unknown =>
  verifyEvent(JSON.stringify(event), JSON.stringify(proof), KEYS);

describe('an event and its inclusion proof', () => {
  it('verify for an event whose class has no user, as the service shows it', async () => {
    const facts = { credential: { user_uid: '~x' } };
    const logged = { metadata: { uid: 'an-event' }, time: 1, unmapped: facts };
    const log = new SampleLog([JSON.stringify(logged)]);
    const proof = {
      leafIndex: 0,
      leafHash: log.leaves[0]!.toString('base64url'),
      treeSize: 1,
      proof: [],
      checkpoint: await log.makeCheckpoint(1),
    };
    const shown = { ...logged, unmapped: { credential: { user_uid: 'ada' }, user: { uid: 'ada', uid_alt: '~x' } } };
    expect(prove(shown, proof)).toMatchObject({ id: 'an-event', pseudonym: '~x' });
    const { user: _, ...unnamed } = shown.unmapped;
    expect(() => prove({ ...shown, unmapped: unnamed }, proof)).toThrow(ALTERED);
  });

  it('prove the place of the event in the tree', () => {
    expect(prove(EVENT)).toMatchObject({
      leafIndex: INDEX,
      time: '2026-01-01T00:02:03.000Z',
      checkpoint: { size: SIZE },
    });
  });

  it.each([
    [
      'as the service shows it: with its place, and its user by the id that callers know',
      { ...EVENT, metadata: { ...EVENT.metadata, sequence: INDEX }, user: { uid: 'ada', uid_alt: 'é😀' } },
    ],
    ['as a line of an export', { kind: 'event', leafIndex: INDEX, event: EVENT }],
  ])('verify for the event %s', (_, event) => {
    expect(prove(event)).toMatchObject({ leafIndex: INDEX });
  });

  it.each([
    ['with another time', { ...EVENT, time: EVENT.time + 1 }],
    ['with a member more', { ...EVENT, severity_id: 1 }],
    ['of another user', { ...EVENT, user: { uid: 'ada' } }],
    ['with a user who stands nowhere in it', { ...EVENT, unmapped: { user: { uid: 'ada', uid_alt: 'eve' } } }],
    ['that is its neighbour', JSON.parse(LOG.events[INDEX + 1]!)],
  ])('do not verify for an event %s', (_, event) => {
    expect(() => prove(event)).toThrow(ALTERED);
  });

  it('prove the stand-in of the user, and no user id that is shown in its place', () => {
    for (const uid of ['ada', 'eve'])
      expect(prove({ ...EVENT, user: { uid, uid_alt: 'é😀' } })).toMatchObject({ pseudonym: 'é😀' });
    expect(prove({ kind: 'event', leafIndex: INDEX, event: EVENT })).toMatchObject({ pseudonym: 'é😀' });
  });

  it.each([
    ['as the service shows it', { ...EVENT, metadata: { ...EVENT.metadata, sequence: INDEX + 1 } }],
    ['as a line of an export', { kind: 'event', leafIndex: INDEX + 1, event: EVENT }],
  ])('do not verify for an event that shows another place, %s', (_, event) => {
    expect(() => prove(event)).toThrow('the event shows place 124 of the log, and has place 123');
  });

  it('do not verify for an event whose place is no number', () => {
    const event = { ...EVENT, metadata: { ...EVENT.metadata, sequence: '123' } };
    expect(() => prove(event)).toThrow('the event shows place "123" of the log, and has place 123');
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['at another place', { leafIndex: INDEX + 1 }, /does not lead from the event to the root/],
    ['without one of its hashes', { proof: PROOF.proof.slice(1) }, /does not lead/],
    ['of another size than its checkpoint', { treeSize: SIZE - 1 }, /another tree than its checkpoint/],
    ['under the checkpoint of another tree', { checkpoint: SMALLER }, /another tree than its checkpoint/],
    ['whose checkpoint was altered', { checkpoint: CHECKPOINT.replace('test\n', 'tests\n') }, /passkey-manager\/tests/],
    ['without a checkpoint', { checkpoint: undefined }, /lacks its hashes or its checkpoint/],
    ['with a malformed hash', { proof: ['x'] }, /a malformed hash/],
  ])('do not verify with a proof %s', (_, changes, reason) => {
    expect(() => prove(EVENT, { ...PROOF, ...changes })).toThrow(reason);
  });

  it('do not verify without a key that signed', () => {
    expect(() => verifyEvent(JSON.stringify(EVENT), JSON.stringify(PROOF), [])).toThrow(/no key has that name/);
  });

  it('name a file that is not JSON', () => {
    expect(() => verifyEvent('x', JSON.stringify(PROOF), KEYS)).toThrow('the event is not JSON');
    expect(() => verifyEvent(JSON.stringify(EVENT), '[]', KEYS)).toThrow('the proof is not an object');
  });
});
