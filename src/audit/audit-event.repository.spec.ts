import { hash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { AUTH_SERVICE, makeAuthorizedContext } from '../../test/support/callers.js';
import type { AuditEntry } from './audit-entry.js';
import { AUDIT_ROW_WIDTH, createAuditRow, insertEventSql, withMac } from './audit-event.repository.js';

const TIME = new Date('2026-06-30T12:34:56.789Z');
const ENTRY: AuditEntry = {
  type: 'credential.verify',
  outcome: 'failure',
  reason: 'origin-mismatch',
  rpId: 'a.example',
  userId: 'u-1',
  credential: { id: 'c-1', credentialId: 'AAAA' },
};

const createRow = (entry: Partial<AuditEntry> = {}) =>
  createAuditRow({ ...ENTRY, ...entry }, makeAuthorizedContext(), TIME, '~stand-in');
const createEvent = (entry: Partial<AuditEntry> = {}): string => createRow(entry).values[1] as string;

describe('a row of the audit log', () => {
  it('has a column for each value by which the log is searched', () => {
    const { id, values, entry } = createRow();
    expect(values).toHaveLength(AUDIT_ROW_WIDTH);
    const [first, , , , ...columns] = values;
    expect(first).toBe(id);
    expect(columns).toEqual([
      'credential.verify',
      'failure',
      AUTH_SERVICE.spiffeId,
      'a.example',
      '~stand-in',
      'c-1',
      'AAAA',
    ]);
    expect(entry).toEqual(ENTRY);
  });

  it('has null for every unknown value', () => {
    const { values } = createAuditRow({ type: 'service.start', outcome: 'success' }, null, TIME);
    expect(values.slice(3)).toEqual([null, 'service.start', 'success', null, null, null, null, null]);
  });

  it('has a UUIDv7 of its own, whose first 48 bits are its time', () => {
    const ids = Array.from({ length: 1_000 }, () => createRow().id);
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) {
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16)).toBe(TIME.getTime());
    }
  });

  it('has the user’s pseudonym in the event, and the user’s id nowhere in it', () => {
    expect(createEvent()).toContain('"uid":"~stand-in"');
    expect(createEvent()).not.toContain('u-1');
  });

  it('has the leaf hash of its event (RFC 6962 §2.1)', () => {
    const { values } = createRow({ detail: 'né€😀' });
    const hashed = hash('sha256', Buffer.concat([Buffer.of(0), Buffer.from(values[1] as string)]), 'buffer');
    expect(values[2]).toEqual(hashed);
  });

  it('has a MAC over its id and its leaf hash, if it gets one', () => {
    const given: unknown[] = [];
    const mac = Buffer.alloc(20, 1);
    const row = createAuditRow(ENTRY, null, TIME);
    const { id, values } = withMac(row, (...over) => (given.push(...over), mac));
    expect([row.values[3], values]).toEqual([null, row.values.with(3, mac)]);
    expect(given).toEqual([id, values[2]]);
  });

  it('has the same id in its event', () => {
    const { id, values } = createRow();
    expect((JSON.parse(values[1] as string) as { metadata: { uid: string } }).metadata.uid).toBe(id);
  });
});

describe('the event’s canonical bytes (RFC 8785)', () => {
  it('have their members in order, and no white space', () => {
    const event = createEvent({ facts: { b: 1, a: [1, { d: 1, c: 2 }], B: 1, é: 1, z: 1, '😀': 1 } });
    expect(event).toContain('{"B":1,"a":[1,{"c":2,"d":1}],"b":1,"credential":');
    expect(event.indexOf('"z":')).toBeLessThan(event.indexOf('"é":'));
    expect(event.indexOf('"é":')).toBeLessThan(event.indexOf('"😀":'));
    expect(event).not.toMatch(/[":,] ["{[\d]/);
  });

  it.each([
    ['the euro sign and a tab', '€\t', '"€\\t"'],
    ['control characters', '\u0000\u001f\u007f', '"\\u0000\\u001f\u007f"'],
    ['quotation marks and slashes', '"\\/', '"\\"\\\\/"'],
    ['a character beyond the plane', '😀', '"😀"'],
    ['a line separator', '\u2028', '"\u2028"'],
  ])('write %s as RFC 8785 does', (_, text, written) => {
    expect(createEvent({ facts: { text } })).toContain(`"text":${written}`);
  });

  it.each([
    [1e21, '1e+21'],
    [0.1 + 0.2, '0.30000000000000004'],
    [-0, '0'],
    [4_294_967_295, '4294967295'],
  ])('write the number %d as %s', (number, written) => {
    expect(createEvent({ facts: { number } })).toContain(`"number":${written}`);
  });

  it('are the same for the same event in any order of its facts', () => {
    const [one, two] = [
      { a: 1, b: { c: 2, d: 3 } },
      { b: { d: 3, c: 2 }, a: 1 },
    ].map((facts) => createEvent({ facts }));
    const removeId = (event = ''): string => event.replaceAll(/"uid":"[^"]+"/g, '');
    expect(removeId(one)).toBe(removeId(two));
  });

  it('leave out undefined members, including nested ones', () => {
    expect(createEvent({ facts: { proof: { method: 'otp', reference: undefined } } })).toContain(
      '"proof":{"method":"otp"}',
    );
  });

  it('are read back as the same event', () => {
    const facts = { text: 'a\u0000b', list: [null, true], time: TIME };
    const { unmapped } = JSON.parse(createEvent({ facts })) as { unmapped: object };
    expect(unmapped).toMatchObject({ text: 'a\u0000b', list: [null, true], time: TIME.toISOString() });
  });

  it('are refused when a text has half of a character, because such a text cannot be hashed', () => {
    expect(() => createEvent({ detail: 'a\ud83d' })).toThrow('surrogate');
  });
});

describe('the statement that writes a row', () => {
  it('numbers its parameters from the given one, with types, so that the planner never guesses', () => {
    const text = insertEventSql(8, 'issued');
    const numbers = new Set([...text.matchAll(/\$(\d+)::(\w+)/g)].map(([, number]) => Number(number)));
    expect([...numbers].sort((a, b) => a - b)).toEqual(
      Array.from({ length: AUDIT_ROW_WIDTH }, (_, index) => 8 + index),
    );
    expect(text).not.toMatch(/\$\d+(?!\d*::)/);
    expect(text).toMatch(
      /^WITH recorded AS \(INSERT INTO audit_event \(id, event, leaf_hash, [^$]*\)\s+SELECT [^]* FROM issued\s/,
    );
  });
});
