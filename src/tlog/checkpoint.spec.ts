import { generateKeyPairSync, hash, type KeyObject, sign, verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { type Checkpoint, formatCheckpoint, openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.js';
import { formatVerifierKey, type OutsideKey, parseVerifierKey, readLogSigners, readPublicKeys } from './keys.js';
import { formatNote, NoteError, parseNote } from './signed-note.js';

const ORIGIN = 'passkey-manager/production';
const TIME = new Date('2026-02-03T04:05:06.789Z');
const pem = (key: KeyObject, passphrase?: string): string =>
  key.export({
    type: 'pkcs8',
    format: 'pem',
    ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
  });
const ED25519 = generateKeyPairSync('ed25519').privateKey;
const ML_DSA_44 = generateKeyPairSync('ml-dsa-44').privateKey;
const SIGNERS = readLogSigners(pem(ED25519) + pem(ML_DSA_44), ORIGIN);
const KEYS = SIGNERS.map(({ key }) => key);
const CHECKPOINT: Checkpoint = {
  origin: ORIGIN,
  size: 20852163,
  root: hash('sha256', 'root', 'buffer'),
  extensions: [],
};
const NOTE = await signCheckpoint(CHECKPOINT, SIGNERS, TIME);

describe('C2SP tlog-checkpoint', () => {
  const text = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';

  it('reads and writes the example of the specification', () => {
    const checkpoint = parseCheckpoint(text);
    expect(checkpoint).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20852163, extensions: [] });
    expect(checkpoint.root.toString('hex')).toMatch(/^0ac5186a.*ab62$/);
    expect(formatCheckpoint(checkpoint)).toBe(text);
  });

  it('reads extension lines, and the empty tree', () => {
    expect(parseCheckpoint(`${text}one\ntwo\n`).extensions).toEqual(['one', 'two']);
    expect(parseCheckpoint(text.replace('20852163', '0')).size).toBe(0);
  });

  it.each([
    ['two lines', text.split('\n').slice(0, 2).join('\n') + '\n'],
    ['no newline at its end', text.slice(0, -1)],
    ['an empty line', `${text}\n`],
    ['an empty origin', text.replace('example.com/behind-the-sofa', '')],
    ['an origin of 256 bytes', text.replace('example.com/behind-the-sofa', 'é'.repeat(128))],
    ['leading zeroes', text.replace('20852163', '020852163')],
    ['a sign', text.replace('20852163', '+20852163')],
    ['a fraction', text.replace('20852163', '20852163.0')],
    ['a size beyond 2^53', text.replace('20852163', '9007199254740992')],
    ['a root of 31 bytes', text.replace(/C.*=\n/, `${Buffer.alloc(31).toString('base64')}\n`)],
    ['a root in base64url', text.replace('/', '_').replace('m/X', 'm_X')],
  ])('refuses %s', (_, other) => {
    expect(() => parseCheckpoint(other)).toThrow(NoteError);
  });

  it('refuses to write what it would not read', () => {
    expect(() => formatCheckpoint({ ...CHECKPOINT, origin: 'two\nlines' })).toThrow(NoteError);
    expect(() => formatCheckpoint({ ...CHECKPOINT, size: -1 })).toThrow(NoteError);
    expect(() => formatCheckpoint({ ...CHECKPOINT, root: Buffer.alloc(3) })).toThrow(NoteError);
  });
});

describe('a signed checkpoint', () => {
  it('verifies under the keys that signed it, after it is written and read again, and gives its second', () => {
    const keys = KEYS.map((key) => parseVerifierKey(formatVerifierKey(key)));
    const opened = openCheckpoint(NOTE, keys);
    expect(opened).toMatchObject({ ...CHECKPOINT, time: new Date('2026-02-03T04:05:06Z') });
    expect(opened.keys.map(({ algorithm }) => algorithm)).toEqual(['ed25519', 'ml-dsa-44']);
    expect(openCheckpoint(NOTE, keys.slice(0, 1)).time).toBeUndefined();
  });

  it('is signed by Ed25519 as the text of the note (C2SP signed-note, type 0x01)', () => {
    const { text, signatures } = parseNote(NOTE);
    expect(text).toBe(`${ORIGIN}\n20852163\n${CHECKPOINT.root.toString('base64')}\n`);
    expect(verify(null, Buffer.from(text), KEYS[0]!.publicKey, signatures[0]!.signature)).toBe(true);
    const raw = KEYS[0]!.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
    const id = hash('sha256', Buffer.concat([Buffer.from(`${ORIGIN}\n\x01`), raw]), 'hex').slice(0, 8);
    expect(signatures[0]).toMatchObject({ name: ORIGIN, keyId: id });
  });

  it('is signed by ML-DSA-44 as a cosigned_message (C2SP tlog-cosignature, type 0x06)', () => {
    const signature = parseNote(NOTE).signatures[1]!;
    const name = Buffer.concat([Buffer.of(ORIGIN.length), Buffer.from(ORIGIN)]);
    const seconds = Buffer.from('00000000698173f2', 'hex');
    const startAndEnd = Buffer.from('0000000000000000' + '00000000013e2dc3', 'hex');
    const label = Buffer.from('737562747265652f76310a00', 'hex');
    const message = Buffer.concat([label, name, seconds, name, startAndEnd, CHECKPOINT.root]);
    expect(signature.signature).toHaveLength(8 + 2420);
    expect(signature.signature.subarray(0, 8)).toEqual(seconds);
    expect(verify(null, message, KEYS[1]!.publicKey, signature.signature.subarray(8))).toBe(true);
    const raw = KEYS[1]!.publicKey.export({ format: 'der', type: 'spki' }).subarray(-1312);
    const id = hash('sha256', Buffer.concat([Buffer.from(`${ORIGIN}\n\x06`), raw]), 'hex').slice(0, 8);
    expect(signature).toMatchObject({ name: ORIGIN, keyId: id });
  });

  it('ignores signatures of other keys, even under the same name', async () => {
    const others = readLogSigners(pem(generateKeyPairSync('ed25519').privateKey), ORIGIN);
    const witness = readLogSigners(pem(ED25519), 'witness.example/w1');
    const note = await signCheckpoint(CHECKPOINT, [...others, ...SIGNERS, ...witness], TIME);
    expect(openCheckpoint(note, KEYS).size).toBe(CHECKPOINT.size);
  });

  const altered = (change: (note: ReturnType<typeof parseNote>) => Partial<ReturnType<typeof parseNote>>): string => {
    const note = parseNote(NOTE);
    return formatNote({ ...note, ...change(note) });
  };
  const flip = (bytes: Buffer, at: number): Buffer =>
    bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)) as Buffer;
  const { text: TEXT } = parseNote(NOTE);
  it.each([
    ['another size', altered(() => ({ text: TEXT.replace('20852163', '20852164') })), 'is not valid'],
    ['another root', altered(() => ({ text: TEXT.replace(/\n\w/, '\n1') })), 'is not valid'],
    ['an extension line', altered(() => ({ text: `${TEXT}more\n` })), 'ed25519 signature'],
    [
      'the Ed25519 signature taken away',
      altered(({ signatures }) => ({ signatures: signatures.slice(1) })),
      'lacks the ed25519',
    ],
    [
      'the ML-DSA-44 signature taken away',
      altered(({ signatures }) => ({ signatures: signatures.slice(0, 1) })),
      'lacks the ml-dsa-44',
    ],
    [
      'another time',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: flip(two!.signature, 7) }],
      })),
      'ml-dsa-44 signature',
    ],
    [
      'a time beyond all time',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: flip(two!.signature, 0) }],
      })),
      'ml-dsa-44 signature',
    ],
    [
      'a bit of the ML-DSA-44 signature',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: flip(two!.signature, 99) }],
      })),
      'ml-dsa-44 signature',
    ],
    [
      'a bit of the Ed25519 signature',
      altered(({ signatures: [one, two] }) => ({
        signatures: [{ ...one!, signature: flip(one!.signature, 3) }, two!],
      })),
      'ed25519 signature',
    ],
    [
      'a short ML-DSA-44 signature',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: two!.signature.subarray(0, 8) }],
      })),
      'ml-dsa-44 signature',
    ],
    [
      'an ML-DSA-44 signature cut short',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: two!.signature.subarray(0, -1) }],
      })),
      'ml-dsa-44 signature',
    ],
    [
      'a second signature of a key that does not hold',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, two!, { ...one!, signature: flip(one!.signature, 3) }],
      })),
      'ed25519 signature',
    ],
    [
      'the signatures exchanged',
      altered(({ signatures: [one, two] }) => ({
        signatures: [
          { ...one!, signature: two!.signature },
          { ...two!, signature: one!.signature },
        ],
      })),
      'is not valid',
    ],
    [
      'an ML-DSA-44 signature of the note’s text',
      altered(({ signatures: [one, two] }) => ({
        signatures: [one!, { ...two!, signature: sign(null, Buffer.from(TEXT), ML_DSA_44) }],
      })),
      'ml-dsa-44 signature',
    ],
  ])('does not verify with %s', (_, note, reason) => {
    expect(() => openCheckpoint(note, KEYS)).toThrow(reason);
  });

  it('does not verify for another log that the same key signs', async () => {
    const staging = readLogSigners(pem(ED25519) + pem(ML_DSA_44), 'passkey-manager/staging');
    const note = await signCheckpoint(CHECKPOINT, staging, TIME);
    expect(() => openCheckpoint(note, KEYS)).toThrow('lacks');
    const foreign = await signCheckpoint({ ...CHECKPOINT, origin: 'passkey-manager/staging' }, SIGNERS, TIME);
    expect(() => openCheckpoint(foreign, KEYS)).toThrow('passkey-manager/staging, but no key has that name');
  });

  it('is not taken for another statement of the same signers, nor that for a checkpoint', async () => {
    const statement = await signCheckpoint({ ...CHECKPOINT, origin: `${ORIGIN} credentials` }, SIGNERS, TIME);
    expect(openCheckpoint(statement, KEYS, ' credentials')).toMatchObject({ size: CHECKPOINT.size });
    expect(() => openCheckpoint(statement, KEYS)).toThrow('no key has that name');
    expect(() => openCheckpoint(NOTE, KEYS, ' credentials')).toThrow('no key has that name');
  });

  it('does not verify without keys', () => {
    expect(() => openCheckpoint(NOTE, [])).toThrow(NoteError);
  });
});

describe('the key file', () => {
  it('holds an Ed25519 key and an ML-DSA-44 key in either order, or one of them', () => {
    const algorithms = (text: string) => readLogSigners(text, ORIGIN).map(({ key }) => key.algorithm);
    expect(algorithms(pem(ML_DSA_44) + pem(ED25519))).toEqual(['ed25519', 'ml-dsa-44']);
    expect(algorithms(`# audit key\n${pem(ED25519)}`)).toEqual(['ed25519']);
    expect(algorithms(pem(ML_DSA_44).replaceAll('\n', '\r\n'))).toEqual(['ml-dsa-44']);
  });

  it('may hold encrypted keys, or one of them', () => {
    const signers = readLogSigners(pem(ED25519, 'secret') + pem(ML_DSA_44), ORIGIN, 'secret');
    expect(signers.map(({ key }) => formatVerifierKey(key))).toEqual(KEYS.map(formatVerifierKey));
  });

  it('may hold the old keys after the new ones of each algorithm', async () => {
    const [newer, newerMlDsa] = [
      generateKeyPairSync('ed25519').privateKey,
      generateKeyPairSync('ml-dsa-44').privateKey,
    ];
    const file = [newer, ED25519, newerMlDsa, ML_DSA_44].map((key) => pem(key)).join('');
    const signers = readLogSigners(file, ORIGIN);
    expect(signers.map(({ key, isFormer }) => [key.algorithm, isFormer])).toEqual([
      ['ed25519', false],
      ['ml-dsa-44', false],
      ['ed25519', true],
      ['ml-dsa-44', true],
    ]);
    expect(signers.slice(2).map(({ key }) => key.keyId)).toEqual(KEYS.map(({ keyId }) => keyId));
    const note = await signCheckpoint(CHECKPOINT, signers, TIME);
    for (const keys of [KEYS, signers.slice(0, 2).map(({ key }) => key)]) {
      expect(openCheckpoint(note, keys).size).toBe(CHECKPOINT.size);
    }
  });

  it('may name keys that are elsewhere, in the same order as keys in PEM', async () => {
    const outside = generateKeyPairSync('ed25519');
    const opened: string[] = [];
    const open = (uri: string): OutsideKey => {
      opened.push(uri);
      return {
        publicKey: outside.publicKey,
        sign: (message) => Promise.resolve(sign(null, message, outside.privateKey)),
      };
    };
    const uri = 'pkcs11:token=a%20b;object=audit?pin-source=/run/pin';
    const signers = readLogSigners(`${uri}\r\n${pem(ED25519)}${pem(ML_DSA_44)}`, ORIGIN, undefined, open);
    expect(opened).toEqual([uri]);
    expect(signers.map(({ key, isFormer }) => [key.algorithm, isFormer])).toEqual([
      ['ed25519', false],
      ['ml-dsa-44', false],
      ['ed25519', true],
    ]);
    const keys = signers.map(({ key }) => key);
    expect(keys[2]?.keyId).toBe(KEYS[0]?.keyId);
    expect(openCheckpoint(await signCheckpoint(CHECKPOINT, signers, TIME), keys).size).toBe(CHECKPOINT.size);
  });

  it('does not sign a checkpoint at all if one key fails', async () => {
    const failing = { key: SIGNERS[0]!.key, isFormer: false, sign: () => Promise.reject(new Error('token removed')) };
    await expect(signCheckpoint(CHECKPOINT, [SIGNERS[1]!, failing], TIME)).rejects.toThrow('token removed');
  });

  it('may name old keys by their public parts, as PEM or as verifier keys', () => {
    const [ed25519, mlDsa] = KEYS;
    const spki = ed25519!.publicKey.export({ type: 'spki', format: 'pem' });
    const file = `${pem(generateKeyPairSync('ed25519').privateKey)}${spki}\r\n${formatVerifierKey(mlDsa!)}\r\n`;
    expect(readPublicKeys(file, ORIGIN).map(({ keyId }) => keyId)).toEqual(KEYS.map(({ keyId }) => keyId));
    const damaged = file.replace(/(\+[0-9a-f]{8}\+)./, '$1x');
    expect(() => readPublicKeys(damaged, ORIGIN)).toThrow(NoteError);
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  it.each([
    ['nothing', '', undefined, 'does not hold whole private keys'],
    ['random bytes', 'c2VjcmV0', undefined, 'does not hold whole private keys'],
    ['half a key', pem(ED25519) + pem(ML_DSA_44).slice(0, 60), undefined, 'does not hold whole private keys'],
    [
      'a key with a broken inside',
      pem(ED25519).replace('MC4C', 'AAAA'),
      undefined,
      'key 1 of the key file is not readable',
    ],
    [
      'a public key',
      KEYS[0]!.publicKey.export({ type: 'spki', format: 'pem' }),
      undefined,
      'the key file does not hold whole private keys',
    ],
    ['a key in SEC 1', p256.export({ type: 'sec1', format: 'pem' }), undefined, 'is a EC PRIVATE KEY'],
    ['an RSA key', pem(ED25519) + pem(rsa), undefined, 'key 2 of the key file has the type rsa'],
    ['the same Ed25519 key twice', pem(ED25519) + pem(ED25519), undefined, 'the ed25519 key appears twice'],
    [
      'three Ed25519 keys',
      pem(ED25519) + [1, 2].map(() => pem(generateKeyPairSync('ed25519').privateKey)).join(''),
      undefined,
      'more than two keys of ed25519',
    ],
    ['an encrypted key and no passphrase', pem(ED25519, 'secret'), undefined, 'key 1 of the key file is encrypted'],
    ['an encrypted key and another passphrase', pem(ED25519, 'secret'), 'other', 'does not open with the passphrase'],
  ])('is refused with %s', (_, text, passphrase, reason) => {
    expect(() => readLogSigners(text, ORIGIN, passphrase)).toThrow(reason);
  });

  it('is refused under a name that no key can have', () => {
    expect(() => readLogSigners(pem(ED25519), 'passkey manager')).toThrow('name of a key');
  });
});
