import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { step, REASONS, Refusal, refuseUnless } from './refusal.js';

describe('a step', () => {
  it('that holds does nothing, and one that does not is a refusal with a reason and a detail', () => {
    expect(() => {
      refuseUnless(true, 'malformed', 'detail');
    }).not.toThrow();
    expect(() => {
      refuseUnless(false, 'malformed', 'detail');
    }).toThrow(new Refusal('malformed', 'detail'));
  });
});

describe('a numbered step', () => {
  const refused = (): never => {
    throw new Refusal('malformed', 'detail');
  };

  it('returns its result, now or later', async () => {
    expect(step('§7.1', 5, () => 'value')).toBe('value');
    await expect(step('§7.1', 22, () => Promise.resolve('value'))).resolves.toBe('value');
  });

  it('numbers a refusal in it, now or later', async () => {
    const clause = '§7.2 step 7';
    expect(() => step('§7.2', 7, refused)).toThrow(expect.objectContaining({ reason: 'malformed', clause }));
    await expect(step('§7.2', 7, async () => Promise.resolve().then(refused))).rejects.toMatchObject({ clause });
  });

  it('leaves the number to the innermost step', () => {
    expect(() => step('§7.1', 22, () => step('§7.1', 20, refused))).toThrow(
      expect.objectContaining({ clause: '§7.1 step 20' }),
    );
  });

  it('passes every other failure on unchanged', async () => {
    const failure: Error = Object.freeze(new TypeError('a mistake of ours'));
    const failed = (): never => {
      throw failure;
    };
    expect(() => step('§7.1', 5, failed)).toThrow(failure);
    await expect(step('§7.1', 5, async () => Promise.resolve().then(failed))).rejects.toBe(failure);
  });
});

describe('a refusal', () => {
  it('has a name, and no clause of its own', () => {
    const refusal = new Refusal('malformed', 'detail');
    expect([refusal.name, refusal.clause]).toEqual(['Refusal', undefined]);
  });

  it('has a reason of the closed list that the contract publishes', () => {
    const document = parse(readFileSync(new URL('../openapi/openapi.yaml', import.meta.url), 'utf8')) as unknown;
    const published = JSON.stringify(document);
    for (const reason of REASONS) expect(published).toContain(`"${reason}"`);
  });

  it('has text that can be hashed and stored, because half a character is replaced', () => {
    const { detail, message } = new Refusal('malformed', 'a\ud83d');
    expect(detail).toBe('a\ufffd');
    expect(message).toBe('malformed: a\ufffd');
  });
});
