import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { isolateRuns, makeLinesVisible, makeVisible, splitByDirection } from './visible.js';

describe('a text from outside', () => {
  it.each([
    ['a character that turns the order', 'u\u202e1\u2066', 'u\\u{202e}1\\u{2066}'],
    ['control characters', 'a\u0000\n\u001b[2J\u0085', 'a\\u{0}\\u{a}\\u{1b}[2J\\u{85}'],
    ['what is invisible', 'a\u200bb\u00adc\ufeffd\u3164', 'a\\u{200b}b\\u{ad}c\\u{feff}d\\u{3164}'],
    ['tags, and half of a pair', '\u{e0041}\ud800', '\\u{e0041}\\u{d800}'],
  ])('shows %s by its code', (_, text, shown) => {
    expect(makeVisible(text)).toBe(shown);
  });

  it('stays as it is otherwise', () => {
    const text = 'Ada’s 📱 ❤️ – ключ 鍵 “é”';
    expect(makeVisible(text)).toBe(text);
  });

  it('stays JSON with the same value, and keeps its lines', () => {
    const value = { name: 'a\u202e\u{e0041}\nb' };
    const shown = makeLinesVisible(JSON.stringify(value, undefined, 2));
    expect(JSON.parse(shown)).toEqual(value);
    expect(shown).toBe('{\n  "name": "a\\u202e\\udb40\\udc41\\nb"\n}');
  });

  it('has each run that is written from right to left on its own', () => {
    expect(splitByDirection('Revoke “אב גד” 25 of 30')).toEqual(['Revoke “', 'אב גד', '” 25 of 30']);
    expect(splitByDirection('u-123')).toEqual(['u-123']);
    expect(isolateRuns('Suspend مفتاح!')).toBe('Suspend \u2068مفتاح\u2069!');
  });
});

it('no view takes a template past what makes texts visible', () => {
  const past = globSync('console/**/*.ts').filter(
    (file) => !/\.spec\.ts$|html\.ts$|styled\.ts$/.test(file) && /from 'lit-html'/.test(readFileSync(file, 'utf8')),
  );
  expect(past).toEqual([]);
});
