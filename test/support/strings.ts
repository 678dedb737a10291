import fc from 'fast-check';

/** Strings with a special meaning somewhere: in a pattern, in JSON, a URL, SQL, HTML or the log, or to a reader's eye. */
const MEANING = [
  ...[
    '$&',
    '$$',
    '$`',
    "$'",
    '$1',
    '$<name>',
    '.*',
    '[',
    '(?',
    '^',
    '%s',
    '%%',
    '%2F',
    '%zz',
    '%00',
    '+',
    '&',
    '=',
    '?',
    '#',
    '/',
    '\\',
  ],
  ...[
    '"',
    '\\"',
    '\\u0041',
    '\\n',
    '"uid":"',
    '"ceremony":"registration"',
    '{user.uid}',
    "'",
    "'; --",
    '||',
    '_',
    ',',
    '{}',
    'null',
  ],
  ...[
    '<script>',
    '</td>',
    '&amp;',
    '&#39;',
    '__proto__',
    'constructor',
    'toString',
    '.',
    '..',
    ' ',
    '~AAAAAAAAAAAAAAAAAAAAAA',
  ],
  ...[
    '11111111-1111-4111-8111-111111111111',
    '\u202e',
    '\u2066',
    '\u200b',
    '\u200d',
    '\u2028',
    '\u2029',
    '\ufeff',
    '\u061c',
    '\u00ad',
  ],
  ...['é', 'e\u0301', 'ß', 'İ', '🔑', '👩‍💻', '\ufffd', '\uffff', '\u{10ffff}', '\u00a0'],
];

/** Generates text of at most `max` characters that every route accepts. */
export function generateTexts(max: number): fc.Arbitrary<string> {
  const part = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...MEANING) },
    { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 8 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }) },
  );
  const long = fc.constantFrom('x', '"', '🔑', '\u202e').map((character) => character.repeat(max));
  const joined = fc
    .array(part, { minLength: 1, maxLength: 6 })
    .map((parts) => Array.from(parts.join('')).slice(0, max).join(''));
  return fc.oneof({ weight: 9, arbitrary: joined }, { weight: 1, arbitrary: long }).filter(isTaken);
}

// eslint-disable-next-line no-control-regex -- control characters are refused
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function isTaken(text: string): boolean {
  return !['', '.', '..'].includes(text) && text.isWellFormed() && !CONTROL.test(text);
}

/** Spellings of a string in JSON that every reader must read as the same string. */
export interface Spelling {
  readonly name: string;
  readonly json: (text: string) => string;
  readonly url: (text: string) => string;
}

const toHex = (code: number): string => code.toString(16).padStart(4, '0');
const toCodeUnits = (text: string): number[] => Array.from({ length: text.length }, (_, at) => text.charCodeAt(at));
const escapeBytes = (text: string, digits: (byte: string) => string): string =>
  Array.from(Buffer.from(text), (byte) => `%${digits(byte.toString(16).padStart(2, '0'))}`).join('');

export const SPELLINGS: readonly Spelling[] = [
  { name: 'as JavaScript does', json: JSON.stringify, url: encodeURIComponent },
  {
    name: 'in lower-case hexadecimal',
    json: (text) =>
      `"${toCodeUnits(text)
        .map((code) => `\\u${toHex(code)}`)
        .join('')}"`,
    url: (text) => escapeBytes(text, (byte) => byte.toLowerCase()),
  },
  {
    name: 'in upper-case hexadecimal',
    json: (text) =>
      `"${toCodeUnits(text)
        .map((code) => `\\u${toHex(code).toUpperCase()}`)
        .join('')}"`,
    url: (text) => escapeBytes(text, (byte) => byte.toUpperCase()),
  },
  {
    name: 'with needless escapes',
    json: (text) =>
      JSON.stringify(text)
        .replaceAll('/', () => '\\/')
        .replaceAll('é', () => '\\u00E9'),
    url: (text) => encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16)}`),
  },
];

/** Writes JSON whose strings have this spelling. */
export function spell(value: unknown, { json }: Pick<Spelling, 'json'>): string {
  if (typeof value === 'string') return json(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => spell(item, { json })).join()}]`;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${json(name)}:${spell(member, { json })}`).join()}}`;
}

/** Values that every route refuses as text. */
export const REFUSED_TEXTS: readonly [string, string][] = [
  ['nothing', '""'],
  ['half of a character', '"a\\ud83d"'],
  ['the other half', '"\\udd11a"'],
  ['halves in the wrong order', '"\\udd11\\ud83d"'],
  ['NUL', '"a\\u0000"'],
  ['a line end', '"a\\nb"'],
  ['DEL', '"a\\u007f"'],
  ['a control character beyond ASCII', '"a\\u0085"'],
  ['257 characters', JSON.stringify('🔑'.repeat(257))],
  ['a number', '7'],
  ['null', 'null'],
  ['a list', '["a"]'],
  ['an object', '{"a":"b"}'],
];
