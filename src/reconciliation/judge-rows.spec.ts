import { describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { type CredentialRow, judgeCredential, judgeHandle, judgeMissing, judgeRelyingParty } from './judge-rows.js';
import { type LoggedChange, RowHistory } from './row-history.js';

const NOW = Date.UTC(2026, 5, 30);
const MINUTE = 60_000;
const UID = '11111111-1111-4111-8111-111111111111';
const idAt = (minutes: number): string => uuidv7({ msecs: NOW + minutes * MINUTE });
const ID = idAt(0);

let leaves = 0;
/** An event after all others, at a time in minutes. */
function logged(type: string, minutes: number, members: Partial<LoggedChange> = {}): LoggedChange {
  return { id: idAt(minutes), type, leaf: (leaves += 1), version: null, user: UID, ...members };
}

function historyOf(...changes: LoggedChange[]): RowHistory {
  const history = new RowHistory();
  for (const change of changes) history.add(change);
  return history;
}

const row = (members: Partial<CredentialRow> = {}): CredentialRow => ({
  ...{ id: ID, rpId: 'rp', userId: 'u', credentialId: 'c', version: 1, status: 'active', uid: UID },
  ...members,
});
const judge = (members: Partial<CredentialRow>, changes: LoggedChange[], completeSince = -Infinity): unknown =>
  judgeCredential(row(members), historyOf(...changes), completeSince)?.kind;

const registered = logged('credential.register', 0, { version: 1 });
const suspended = logged('credential.suspend', 1, { version: 2 });
const reinstated = logged('credential.reinstate', 2, { version: 3 });
const revoked = logged('credential.revoke', 3, { version: 4 });

describe('a credential', () => {
  it.each([
    [1, 'active', [registered], undefined],
    [3, 'active', [registered, suspended, reinstated], undefined],
    [3, 'active', [reinstated, registered, suspended], undefined],
    [4, 'revoked', [registered, suspended, reinstated, revoked], undefined],
    [1, 'active', [registered, suspended], 'row-outdated'],
    [3, 'active', [registered, suspended, reinstated, revoked], 'row-outdated'],
    [2, 'active', [registered], 'row-unrecorded'],
    [1, 'active', [], 'row-unrecorded'],
  ])('of version %p, %s', (version, status, changes, kind) => {
    expect(judge({ version, status }, changes)).toBe(kind);
  });

  it('is outdated when a sign-in that changed it is newer', () => {
    expect(judge({ version: 1 }, [registered, logged('credential.verify', 5, { version: 2 })])).toBe('row-outdated');
  });

  it.each([
    ['active', 'active', undefined],
    ['suspended', 'suspended', undefined],
    ['suspended', 'active', 'row-outdated'],
    ['revoked', 'active', 'row-outdated'],
    ['active', 'suspended', 'row-outdated'],
  ])('that was imported as %s and is %s now', (imported, status, kind) => {
    const event = logged('credential.import', 0, { version: 1, status: imported });
    expect(judge({ status }, [event])).toBe(kind);
  });

  describe('from before versions', () => {
    const old = (type: string, minutes: number): LoggedChange => logged(`credential.${type}`, minutes);

    it.each([
      ['active', ['register'], undefined],
      ['active', ['register', 'suspend', 'rename'], 'row-outdated'],
      ['suspended', ['register', 'suspend'], undefined],
      ['suspended', ['register', 'suspend', 'reinstate'], 'row-outdated'],
      ['active', ['register', 'revoke'], 'row-outdated'],
      ['active', ['rename'], undefined],
    ])('is %s after %p', (status, types, kind) => {
      expect(
        judge(
          { version: 0, status },
          types.map((type, at) => old(type, at)),
        ),
      ).toBe(kind);
    });

    it('is judged by the order of the log, not by the clocks', () => {
      const [later, earlier] = [old('suspend', 10), old('reinstate', 9)];
      expect(judge({ version: 0, status: 'active' }, [old('register', 0), later, earlier])).toBeUndefined();
      expect(
        judge({ version: 0, status: 'active' }, [
          { ...later, leaf: null },
          { ...earlier, leaf: null },
        ]),
      ).toBe('row-outdated');
    });

    it('is found when a replica of the version before revoked it, which raises no version', () => {
      expect(judge({ version: 1, status: 'active' }, [registered, old('revoke', 5)])).toBe('row-outdated');
      expect(judge({ version: 1, status: 'revoked' }, [registered, old('revoke', 5)])).toBeUndefined();
    });
  });

  describe('whose older events may have left the database', () => {
    const archived = NOW + 30 * MINUTE;

    it('is not unrecorded, unless it is younger', () => {
      expect(judge({}, [], archived)).toBeUndefined();
      expect(judge({ id: idAt(41) }, [], archived)).toBe('row-unrecorded');
      expect(judge({ id: idAt(39) }, [], archived)).toBeUndefined();
    });

    it('may be newer than an event of the border, whose follower a slower clock put into the month before', () => {
      const border = logged('credential.rename', 35, { version: 2 });
      expect(judge({ version: 3 }, [border], archived)).toBeUndefined();
      expect(judge({ version: 3 }, [{ ...border, id: idAt(45) }], archived)).toBe('row-unrecorded');
      expect(judge({ version: 1 }, [border], archived)).toBe('row-outdated');
    });
  });

  it('of an erased user is found before anything else', () => {
    expect(judge({ version: 9 }, [registered, logged('user.erase', 9)])).toBe('user-erased');
  });

  it('without its user, or with another one, is found', () => {
    expect(judge({ uid: null }, [registered])).toBe('user-missing');
    expect(judge({ uid: ID }, [registered])).toBe('user-missing');
  });
});

describe('a user', () => {
  it('is found only if the log has the erasure', () => {
    const handle = { rpId: 'rp', userId: 'u', uid: UID };
    expect(judgeHandle(handle, historyOf())).toBeUndefined();
    expect(judgeHandle(handle, historyOf(logged('user.erase', 1)))).toMatchObject({
      kind: 'user-erased',
      subject: UID,
    });
  });
});

describe('a relying party', () => {
  const [created, updated] = [1, 2].map((version) => logged('relying-party.update', version, { version, user: null }));
  const judgeParty = (version: number, changes: LoggedChange[], completeSince = -Infinity): unknown =>
    judgeRelyingParty({ rpId: 'rp', version, createdAt: NOW }, historyOf(...changes), completeSince)?.kind;

  it('is held against its newest event, because its version may begin again', () => {
    expect(judgeParty(2, [created!, updated!])).toBeUndefined();
    expect(judgeParty(1, [created!, updated!])).toBe('row-outdated');
    expect(judgeParty(3, [created!, updated!])).toBe('row-unrecorded');
    const again = logged('relying-party.create', 3, { version: 1, user: null });
    expect(judgeParty(1, [created!, updated!, again])).toBeUndefined();
    expect(judgeParty(2, [created!, updated!, again])).toBe('row-unrecorded');
  });

  it('without an event is unrecorded, unless its events may have left the database', () => {
    expect(judgeParty(1, [])).toBe('row-unrecorded');
    expect(judgeParty(1, [], NOW)).toBeUndefined();
  });
});

describe('a row that is not there', () => {
  const missing = { table: 'credential', subject: ID, rpId: 'rp', credentialId: 'c', event: ID } as const;

  it('is missing, unless the user was erased', () => {
    expect(judgeMissing(missing, historyOf(registered, suspended))).toMatchObject({
      kind: 'row-missing',
      log: 'version 2, suspended',
      event: suspended.id,
    });
    expect(judgeMissing(missing, historyOf(registered, logged('user.erase', 9)))).toBeUndefined();
  });
});
