import { verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { formatNote, isKeyName, NoteError, parseNote } from './signed-note.js';
import { formatVerifierKey, parseVerifierKey, parseVerifierKeys } from './keys.js';

/** The note and the key in the documentation of Go's sumdb/note. */
const GO_KEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const GO_SIGNATURE = 'x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=';
const GO_NOTE = `${GO_TEXT}\n\u2014 PeterNeumann ${GO_SIGNATURE}\n`;
/** The key in the example of C2SP signed-note. */
const C2SP_KEY = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';

describe('C2SP signed-note', () => {
  it('reads a known note, whose signature its key verifies', () => {
    const { text, signatures } = parseNote(GO_NOTE);
    const key = parseVerifierKey(GO_KEY);
    expect(text).toBe(GO_TEXT);
    expect(signatures).toEqual([{ name: 'PeterNeumann', keyId: 'c74f20a3', signature: expect.any(Buffer) }]);
    expect(key).toMatchObject({ name: 'PeterNeumann', keyId: 'c74f20a3', algorithm: 'ed25519' });
    expect(verify(null, Buffer.from(text), key.publicKey, signatures[0]!.signature)).toBe(true);
  });

  it('writes what it read', () => {
    expect(formatNote(parseNote(GO_NOTE))).toBe(GO_NOTE);
  });

  it('splits at the last blank line, and keeps earlier ones in the text', () => {
    const poem = 'Ognuno sta solo sul cuor della terra\n\ned è subito sera.\n';
    expect(parseNote(`${poem}\n\u2014 PeterNeumann ${GO_SIGNATURE}\n`).text).toBe(poem);
  });

  it('reads 16 signatures of 5 kB', () => {
    const line = `\u2014 name ${Buffer.alloc(5000).toString('base64')}\n`;
    expect(parseNote(`text\n\n${line.repeat(16)}`).signatures).toHaveLength(16);
  });

  const signature = (line: string) => GO_NOTE.replace(/\u2014 .*\n$/, line);
  it.each([
    ['no blank line', GO_NOTE.replace('\n\n', '\n')],
    ['no signature', GO_NOTE.slice(0, GO_TEXT.length + 1)],
    ['nothing in it', ''],
    ['no newline at its end', GO_NOTE.slice(0, -1)],
    ['a carriage return', GO_NOTE.replace('\n\n', '\r\n\n')],
    ['a tab', GO_NOTE.replace('If you', 'If\tyou')],
    ['half a character', GO_NOTE.replace('If', '\ud800')],
    ['a hyphen for the dash', GO_NOTE.replace('\u2014', '-')],
    ['a signature without a name', signature(`\u2014 ${GO_SIGNATURE}\n`)],
    ['a signature with an empty name', signature(`\u2014  ${GO_SIGNATURE}\n`)],
    ['a plus in the name', signature(`\u2014 Peter+Neumann ${GO_SIGNATURE}\n`)],
    ['a no-break space in the name', signature(`\u2014 Peter\u00a0Neumann ${GO_SIGNATURE}\n`)],
    ['a word after the signature', signature(`\u2014 PeterNeumann ${GO_SIGNATURE} more\n`)],
    ['a space after the signature', signature(`\u2014 PeterNeumann ${GO_SIGNATURE} \n`)],
    ['base64 without its padding', signature(`\u2014 PeterNeumann ${GO_SIGNATURE.slice(0, -1)}\n`)],
    ['base64url', signature(`\u2014 PeterNeumann ${GO_SIGNATURE.replaceAll('/', '_')}\n`)],
    ['base64 with loose bits', signature(`\u2014 PeterNeumann ${GO_SIGNATURE.slice(0, -2)}N=\n`)],
    ['an empty signature', signature('\u2014 PeterNeumann \n')],
    ['a key id without a signature', signature('\u2014 PeterNeumann x08gow==\n')],
    ['65 signatures', GO_NOTE + `\u2014 PeterNeumann ${GO_SIGNATURE}\n`.repeat(64)],
    ['half a mebibyte', 'x'.repeat(2 ** 19) + GO_NOTE],
  ])('refuses a note with %s', (_, note) => {
    expect(() => parseNote(note)).toThrow(NoteError);
  });

  it.each(['', 'a b', 'a+b', 'a\u2003b', 'a\u0085b', 'a\nb', '\ud800'])(
    'does not accept %j as the name of a key',
    (name) => {
      expect(isKeyName(name)).toBe(false);
    },
  );
});

describe('C2SP signed-note: verifier keys', () => {
  it.each([GO_KEY, C2SP_KEY, 'TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6'])(
    'reads and writes %s',
    (text) => {
      expect(formatVerifierKey(parseVerifierKey(text))).toBe(text);
    },
  );

  it.each([
    ['another hash', GO_KEY.replace('c74f20a3', 'c74f20a4'), 'is not the hash'],
    ['a hash in capitals', GO_KEY.replace('c74f20a3', 'C74F20A3'), 'name+hash+base64'],
    ['another name', GO_KEY.replace('Peter', 'Paul'), 'is not the hash'],
    ['no name', GO_KEY.replace('PeterNeumann', ''), 'name of a key'],
    ['a space in its name', GO_KEY.replace('Peter', 'Peter '), 'name of a key'],
    ['no hash', GO_KEY.replace('+c74f20a3', ''), 'name+hash+base64'],
    ['a type that is not known', 'witness+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2', 'type 4'],
    ['half a key', 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegw', 'length'],
    ['an Ed25519 key as ML-DSA-44', `PeterNeumann+c74f20a3+Bhpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW`, 'length'],
    ['what is not base64', 'PeterNeumann+c74f20a3+!', 'base64'],
  ])('refuses one with %s', (_, text, reason) => {
    expect(() => parseVerifierKey(text)).toThrow(reason);
  });

  it('reads one in each line, and skips empty lines', () => {
    expect(parseVerifierKeys(`${GO_KEY}\r\n\n${C2SP_KEY}\n`).map(({ keyId }) => keyId)).toEqual([
      'c74f20a3',
      '530d903a',
    ]);
  });

  it.each([
    ['a file without a key', '\n\n', 'no verifier key'],
    ['a malformed line', `${GO_KEY}\n\nx`, 'line 3'],
    ['the same key twice', `${GO_KEY}\n${GO_KEY}`, 'twice'],
  ])('refuses %s', (_, text, reason) => {
    expect(() => parseVerifierKeys(text)).toThrow(reason);
  });
});
