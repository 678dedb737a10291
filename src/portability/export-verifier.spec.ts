import { createHash, createPublicKey, verify } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { makeLogSigners } from '../../test/support/sample-log.js';
import { ExportError } from '../tlog/lines.js';
import { formatEnd, formatHeader, formatLeftOut, signEnd } from './export-frame.js';
import { verifyCredentialExport } from './export-verifier.js';

const ORIGIN = 'passkey-manager/test';
const SIGNERS = makeLogSigners(ORIGIN);
const KEYS = SIGNERS.map(({ key }) => key);
const TIME = new Date('2026-03-01T10:00:00.000Z');
const HEADER = formatHeader({
  rpId: 'login.example.com',
  deployment: ORIGIN,
  exportedAt: '2026-03-01T09:59:00.000Z',
  exportId: '019cab5e-0000-7000-8000-000000000000',
});

const makeId = (n: number): string => `019cab5e-0000-7000-8000-${String(n).padStart(12, '0')}`;
const makeCredential = (n: number): string => `${JSON.stringify({ id: makeId(n), userId: `ü-${String(n)}` })}\n`;
const LINES = [makeCredential(1), makeCredential(2), formatLeftOut(makeId(3)), makeCredential(4)];

async function makeEnd(before: readonly string[], signers = SIGNERS, origin = ORIGIN): Promise<string> {
  const digest = createHash('sha256').update(before.join('')).digest();
  const count = before.filter((line) => line.startsWith('{"id"')).length;
  const leftOut = before.filter((line) => line.startsWith('{"kind":"left-out"')).length;
  const signature = await signEnd({ count, digest }, { origin, signers }, TIME);
  return formatEnd({ count, leftOut, digest: digest.toString('base64url'), signature });
}

const BODY = [HEADER, ...LINES];
const END = await makeEnd(BODY);
const EXPORT = [...BODY, END];

async function* inPieces(text: string, bytes = 100): AsyncGenerator<Buffer> {
  const all = Buffer.from(text);
  for (let at = 0; at < all.length; at += bytes) yield await Promise.resolve(all.subarray(at, at + bytes));
}

const verifyLines = (lines: readonly string[], keys = KEYS, former: (typeof KEYS)[] = []) =>
  verifyCredentialExport(inPieces(lines.join('')), keys, { former });

async function findFault(lines: readonly string[], keys = KEYS): Promise<string> {
  try {
    await verifyLines(lines, keys);
  } catch (error) {
    expect(error).toBeInstanceOf(ExportError);
    return (error as Error).message;
  }
  throw new Error('it verifies');
}

describe('an export of credentials', () => {
  it('verifies as the service wrote it, in pieces of any size, and says what it holds', async () => {
    for (const bytes of [1, 7, 4_096]) {
      const { header, end, signed } = await verifyCredentialExport(inPieces(EXPORT.join(''), bytes), KEYS);
      expect(header).toMatchObject({ rpId: 'login.example.com', deployment: ORIGIN });
      expect(end).toMatchObject({ count: 3, leftOut: 1 });
      expect(signed.time).toEqual(TIME);
    }
  });

  it('verifies without a credential', async () => {
    expect(await verifyLines([HEADER, await makeEnd([HEADER])])).toMatchObject({ end: { count: 0, leftOut: 0 } });
  });

  it('verifies by keys that were replaced since, if they are given', async () => {
    const later = makeLogSigners(ORIGIN).map(({ key }) => key);
    expect(await findFault(EXPORT, later)).toContain('line 6: the checkpoint lacks the ed25519 signature');
    await expect(verifyLines(EXPORT, later, [KEYS])).resolves.toMatchObject({ end: { count: 3 } });
  });

  it.each<[string, () => readonly string[] | Promise<readonly string[]>, string]>([
    ['nothing', () => [], 'line 1: the file is empty'],
    ['no last line', () => BODY, 'line 5: the export is cut off: the file ends without the last line'],
    ['a cut in a line', () => [HEADER, LINES[0]!.slice(0, 20)], 'line 2: is not JSON'],
    ['a cut in the last line', () => [...BODY, END.slice(0, 90)], 'line 6: is not JSON'],
    ['an altered line', () => EXPORT.with(2, LINES[1]!.replace('ü', 'u')), 'line 6: the lines before are not those'],
    [
      'an altered first line',
      () => EXPORT.with(0, HEADER.replace('login', 'evil')),
      'line 6: the lines before are not',
    ],
    [
      'two lines in the wrong order',
      () => [HEADER, LINES[1]!, LINES[0]!, ...LINES.slice(2), END],
      'line 3: is out of order',
    ],
    ['a line twice', () => [HEADER, LINES[0]!, ...LINES, END], 'line 3: is out of order'],
    ['a line less', () => EXPORT.toSpliced(2, 1), 'line 5: count is 3, but 2 credentials stand before it'],
    ['a left-out row less', () => EXPORT.toSpliced(3, 1), 'line 5: leftOut is 1, but 0 rows'],
    [
      'another left-out row',
      () => EXPORT.with(3, formatLeftOut(makeId(2) + 'a')),
      'line 6: the lines before are not those',
    ],
    ['a line after the end', () => [...EXPORT, LINES[0]!], 'line 7: nothing may follow'],
    ['two headers', () => [HEADER, ...EXPORT], 'line 2: is a first line, but others stand before it'],
    ['no header', () => EXPORT.slice(1), 'line 1: is not the first line of an export'],
    ['an unknown kind', () => EXPORT.with(3, '{"kind":"other"}\n'), 'line 4: is of an unknown kind'],
    ['a line without id', () => EXPORT.with(3, '{"userId":"a"}\n'), 'line 4: has no id'],
    [
      'a version to come',
      () => EXPORT.with(0, HEADER.replace('"version":1', '"version":2')),
      'line 1: is of version 2',
    ],
    ['an export of another kind', () => ['{"kind":"event","leafIndex":0}\n'], 'line 1: is not the first line'],
    [
      'a saved refusal',
      () => ['{"type":"urn:passkey-manager:problem:rate-limited"}\n'],
      'refused to export, as rate-limited',
    ],
    ['other line ends', () => EXPORT.map((line) => line.replace('\n', '\r\n')), 'line 1: ends with CR LF'],
  ])('does not verify with %s', async (_, change, message) => {
    expect(await findFault(await change())).toContain(message);
  });

  it('does not verify with a signature of another export, of another log, or of the log’s checkpoint', async () => {
    const shorter = JSON.parse(await makeEnd([HEADER])) as { signature: string };
    const withSignature = (signature: string): string =>
      `${JSON.stringify({ ...(JSON.parse(END) as object), signature })}\n`;
    expect(await findFault([...BODY, withSignature(shorter.signature)])).toContain('the signature is that of another');
    const foreign = await makeEnd(BODY, makeLogSigners('passkey-manager/other'), 'passkey-manager/other');
    expect(await findFault([...BODY, foreign])).toContain('belongs to passkey-manager/other');
    const forged = await makeEnd(BODY, makeLogSigners(ORIGIN));
    expect(await findFault([...BODY, forged])).toContain('lacks the ed25519 signature');
    const stolen = {
      signature: (JSON.parse(END) as { signature: string }).signature.replace(`${ORIGIN} credentials`, ORIGIN),
    };
    expect(await findFault([...BODY, withSignature(stolen.signature)])).toContain('no key has that name');
    const cut = (JSON.parse(END) as { signature: string }).signature.split('\n').toSpliced(-2, 1).join('\n');
    expect(await findFault([...BODY, withSignature(cut)])).toContain('lacks the ml-dsa-44 signature');
  });

  it('can be verified by nothing but Ed25519 and SHA-256', () => {
    const { count, digest, signature } = JSON.parse(END) as { count: number; digest: string; signature: string };
    const hash = createHash('sha256').update(BODY.join('')).digest();
    expect(hash.toString('base64url')).toBe(digest);
    const text = `${ORIGIN} credentials\n${String(count)}\n${hash.toString('base64')}\n`;
    expect(signature.startsWith(`${text}\n\u2014 ${ORIGIN} `)).toBe(true);
    const bytes = Buffer.from(/^\u2014 \S+ (\S+)$/m.exec(signature)![1]!, 'base64');
    const [key] = KEYS;
    const spki = createPublicKey({
      key: key!.publicKey.export({ type: 'spki', format: 'der' }),
      format: 'der',
      type: 'spki',
    });
    expect(verify(null, Buffer.from(text), spki, bytes.subarray(4))).toBe(true);
  });
});
