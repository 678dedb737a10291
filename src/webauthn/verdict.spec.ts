import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { REASONS, Refusal, step } from './verdict.js';

describe('a step', () => {
  it('that holds says nothing; one that does not is a refusal with a reason and a detail', () => {
    expect(() => {
      step(true, 'malformed', 'detail');
    }).not.toThrow();
    expect(() => {
      step(false, 'malformed', 'detail');
    }).toThrow(new Refusal('malformed', 'detail'));
  });
});

describe('a refusal', () => {
  it('has a reason of the closed list that the contract publishes', () => {
    const document = parse(readFileSync(new URL('../openapi/openapi.yaml', import.meta.url), 'utf8')) as unknown;
    const published = JSON.stringify(document);
    for (const reason of REASONS) expect(published).toContain(`"${reason}"`);
  });

  it('holds text that can be hashed and stored: a character cut in two is replaced', () => {
    const { detail, message } = new Refusal('malformed', 'a\ud83d');
    expect(detail).toBe('a\ufffd');
    expect(message).toBe('malformed: a\ufffd');
  });
});
