import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { toConsistencyDocument } from '../src/tlog/proof-documents.js';
import { makeConsistencyProof, makeInclusionProof } from '../src/tlog/proofs.js';
import { makeLogSigners, SampleLog } from '../test/support/sample-log.js';
import { formatVerifierKey } from '../src/tlog/keys.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'audit-verify-'));
const ALTERED = 'the event was altered, or is another one than was logged: its hash is not that of the proof';
const SIZE = 40;
const LOG = new SampleLog(SIZE);
const LINES = await LOG.export(0, SIZE, await LOG.makeCheckpoint(SIZE), SIZE);
const PART = await LOG.export(20, 30, await LOG.makeCheckpoint(SIZE), SIZE);
const KEYS = SampleLog.SIGNERS.map(({ key }) => formatVerifierKey(key));

const write = (name: string, text: string): string => {
  const path = join(DIRECTORY, name);
  writeFileSync(path, text);
  return path;
};
const EXPORT = write('export.ndjson', LINES.join(''));
const PART_EXPORT = write('part.ndjson', PART.join(''));
const KEY = write('audit.pub', `${KEYS.join('\n')}\n`);
const OLDER = write('older.txt', await LOG.makeCheckpoint(10));
const proof = toConsistencyDocument(10, SIZE, await makeConsistencyProof(LOG.reader, 10, SIZE));
const CONSISTENCY = write('consistency.json', JSON.stringify(proof));
const notes = await Promise.all([5, 12, 14, 39].map((size) => LOG.makeCheckpoint(size)));
const ANCHORED = write('anchored.txt', notes.join('\n'));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(options: readonly string[], input?: string): Promise<Outcome> {
  const flags = ['--disable-warning=ExperimentalWarning', 'dist/commands/audit-verify.js'];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [...flags, ...options], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

afterAll(() => {
  rmSync(DIRECTORY, { recursive: true, force: true });
});

describe('npm run audit:verify', () => {
  it('reports what an export proves', async () => {
    const { code, stdout, stderr } = await run([EXPORT, '--key', KEY]);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout).toContain(`${EXPORT} verifies:\n  log      passkey-manager/test\n`);
    expect(stdout).toContain('leaves [0, 40), the whole log: 40 events, 0 erased\n');
    expect(stdout).toContain('from 2026-01-01T00:00:00.000Z to 2026-01-01T00:00:39.000Z\n');
    expect(stdout).toMatch(/tree {5}40 leaves, root [\w+/]{43}=\n/);
    const [ed25519, mlDsa] = KEYS.map((key) => key.split('+').slice(0, 2).join('+'));
    expect(stdout).toContain(`2026-01-01T00:00:40.000Z, by ed25519 (${ed25519!}) and ml-dsa-44 (${mlDsa!})\n`);
  });

  it('reads an export from standard input', async () => {
    const { code, stdout } = await run(['-', '--key', KEY], LINES.join(''));
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining('- verifies:') });
  });

  it('compares an export with an older checkpoint and with anchored ones', async () => {
    const { code, stdout } = await run([EXPORT, '--key', KEY, '--since', OLDER, '--checkpoints', ANCHORED]);
    expect(code).toBe(0);
    expect(stdout).toContain('since    continues the checkpoint of 10 leaves\n');
    expect(stdout).toContain('anchored 4 checkpoints match, 0 are outside the range, 0 are newer\n');
    const part = await run([PART_EXPORT, '--key', KEY, '--since', OLDER, '--consistency', CONSISTENCY]);
    expect(part).toMatchObject({ code: 0, stdout: expect.stringContaining('leaves [20, 30), of 40: 10 events') });
  });

  it.each([
    ['an edited event', LINES.with(16, LINES[16]!.replace('é', 'e')), [], 'line 17: '],
    ['a deleted line', LINES.toSpliced(16, 1), [], 'line 17: '],
    ['a missing end', LINES.slice(0, 30), [], 'line 31: '],
    [
      'an event taken for an erased one',
      LINES.with(12, LINES[13]!.replace(/"leafHash.*/, '"leafHash":"x"}').replace('event', 'erased')),
      [],
      'line 13: ',
    ],
    [
      'leaves that were altered alike',
      LINES.map((line) =>
        line
          .replace(/"leafIndex":12,"leafHash":"[\w-]+"/, '"leafIndex":12')
          .replace('event-12', 'event-x')
          .replace(/00000000000c"/, '00000000000d"'),
      ),
      ['--checkpoints', ANCHORED],
      'lines 13\u201314: ',
    ],
  ])('refuses %s, with the number of the first line that does not verify', async (_, lines, options, named) => {
    const path = write('altered.ndjson', lines.join(''));
    const { code, stdout, stderr } = await run([path, '--key', KEY, ...options]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${path} does not verify: ${named}`);
  });

  it('reports how many events are erased, and refuses an export that erased one too early', async () => {
    const log = new SampleLog(SIZE);
    log.events.fill(null, 0, 3);
    const lines = await log.export(0, SIZE, await LOG.makeCheckpoint(SIZE), SIZE);
    const path = write('erased.ndjson', lines.join(''));
    const retained = (time: string) => run([path, '--key', KEY, '--retained-since', time]);
    const holds = await retained('2026-01-01T00:00:03Z');
    expect(holds).toMatchObject({ code: 0, stdout: expect.stringContaining('37 events, 3 erased') });
    const gone = await retained('2026-01-01T00:00:02Z');
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('does not verify: line 3: ') });
  });

  it('fails when the consistency proof is missing or a key did not sign', async () => {
    const part = await run([PART_EXPORT, '--key', KEY, '--since', OLDER]);
    expect(part).toMatchObject({ code: 1, stderr: expect.stringContaining('line 11: needs a consistency proof') });
    const foreign = write(
      'foreign.pub',
      `${KEYS[0]!}\nPeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n`,
    );
    const lacking = await run([EXPORT, '--key', foreign]);
    expect(lacking).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('line 41: the checkpoint lacks the ed25519 signature of PeterNeumann'),
    });
  });

  it('compares an export with the anchored checkpoints of each replica', async () => {
    const other = write('other.txt', await LOG.makeCheckpoint(20));
    const options = ['--key', KEY, '--checkpoints', ANCHORED, '--checkpoints', other];
    const { code, stdout } = await run([EXPORT, ...options]);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('anchored 5 checkpoints match'),
    });
  });

  it('refuses an option that counts once and is given twice, instead of using one of them', async () => {
    const { code, stderr } = await run([EXPORT, '--key', KEY, '--since', OLDER, '--since', OLDER]);
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^--since may be given only once\./),
    });
  });

  it.each([
    ['of the same keys', [KEY], (size: number) => new SampleLog(size).makeCheckpoint(size)],
    [
      'of an Ed25519 key alone, whose signatures tell no time,',
      [write('ed25519.pub', `${KEYS[0]!}\n`)],
      (size: number) => new SampleLog(size).makeCheckpoint(size, undefined, SampleLog.SIGNERS.slice(0, 1)),
    ],
  ])('ends with 3 if anchored checkpoints %s are newer, and does not call that a cut', async (_, keys, sign) => {
    const live = write('live.txt', (await Promise.all([5, 12, SIZE, SIZE + 1, SIZE + 9].map(sign))).join('\n'));
    const options = [...keys.flatMap((key) => ['--key', key]), '--checkpoints', live];
    const early = await run([EXPORT, ...options]);
    expect(early).toMatchObject({ code: 3, stderr: '' });
    expect(early.stdout).toContain('anchored 3 checkpoints match, 0 are outside the range, 2 are newer\n');
    expect(early.stdout).toContain('newer    2 checkpoints are newer, not covered by this export');
    const grown = new SampleLog(SIZE + 9);
    const lines = await grown.export(0, SIZE + 9, await sign(SIZE + 9), SIZE + 9);
    const late = await run([write('late.ndjson', lines.join('')), ...options]);
    expect(late).toMatchObject({ code: 0, stdout: expect.stringContaining('anchored 5 checkpoints match') });
    expect(late.stdout).not.toContain('newer  ');
  });

  it('finds a log that was cut: by the time of the larger checkpoint, and by its root once the log has grown again', async () => {
    const live = write('live.txt', await LOG.makeCheckpoint(SIZE));
    const [cut, again] = [new SampleLog(30), new SampleLog(50)];
    again.events.reverse();
    const other = new SampleLog(again.events as string[]);
    const later = new Date(SampleLog.computeTime(SIZE + 1));
    const cutLines = await cut.export(0, 30, await cut.makeCheckpoint(30, later), 30);
    const otherLines = await other.export(0, 50, await other.makeCheckpoint(50, later), 50);
    for (const [lines, reason] of [
      [
        cutLines,
        'line 31: a checkpoint of 40 leaves (2026-01-01T00:00:40.000Z) was signed before this tree of 30 leaves',
      ],
      [otherLines, 'these are not the leaves that were signed at size 40'],
    ] as const) {
      const { code, stderr } = await run([write('cut.ndjson', lines.join('')), '--key', KEY, '--checkpoints', live]);
      expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(reason) });
    }
  });

  describe('after a change of keys', () => {
    const signers = makeLogSigners(SampleLog.ORIGIN);
    const newKey = write('new.pub', signers.map(({ key }) => `${formatVerifierKey(key)}\n`).join(''));
    const sign = (size: number, ...by: (typeof signers)[]): Promise<string> =>
      LOG.makeCheckpoint(size, undefined, by.flat());
    const old = [...SampleLog.SIGNERS];
    const keys = ['--key', KEY, '--key', newKey];

    it('holds each checkpoint against the keys of its time, from before, during and after the change', async () => {
      const notes = [sign(5, old), sign(12, signers, old), sign(13, old), sign(14, signers, old), sign(39, signers)];
      const anchored = write('rekeyed.txt', (await Promise.all(notes)).join('\n'));
      const path = write('rekeyed.ndjson', (await LOG.export(0, SIZE, await sign(SIZE, signers), SIZE)).join(''));
      const proved = await run([path, ...keys, '--checkpoints', anchored, '--since', OLDER]);
      expect(proved).toMatchObject({ code: 0, stderr: '' });
      expect(proved.stdout).toContain('anchored 5 checkpoints match');
      expect(proved.stdout).toContain(`by ed25519 (${signers[0]!.key.name}+${signers[0]!.key.keyId})`);
      for (const key of [KEY, newKey]) {
        const one = await run([path, '--key', key, '--checkpoints', anchored]);
        expect(one).toMatchObject({ code: 1, stderr: expect.stringContaining('lacks the ed25519 signature') });
      }
    });

    it('verifies exports from before the change and during it', async () => {
      expect(await run([EXPORT, ...keys, '--checkpoints', ANCHORED])).toMatchObject({ code: 0 });
      const during = await LOG.export(0, SIZE, await sign(SIZE, signers, old), SIZE);
      const path = write('during.ndjson', during.join(''));
      for (const given of [keys, ['--key', KEY], ['--key', newKey]]) {
        expect(await run([path, ...given])).toMatchObject({ code: 0 });
      }
    });

    it('refuses a checkpoint that an unknown key forged, and one of the old keys after the new keys signed alone', async () => {
      const unknown = makeLogSigners(SampleLog.ORIGIN);
      const forged = write('forged.txt', `${await sign(5, old)}\n${await sign(12, unknown)}`);
      const { keyId } = unknown[0]!.key;
      expect(await run([EXPORT, ...keys, '--checkpoints', forged])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(new RegExp(`anchored checkpoint 2: .* it has signatures of \\S+${keyId}`)),
      });
      const late = write('late.txt', `${await sign(5, signers)}\n${await sign(12, old)}`);
      expect(await run([EXPORT, ...keys, '--checkpoints', late])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('anchored checkpoint 2: former keys alone have signed'),
      });
    });
  });

  const proveEvent = async (at: number): Promise<string> => {
    const document = {
      leafIndex: at,
      leafHash: LOG.leaves[at]!.toString('base64url'),
      treeSize: SIZE,
      proof: (await makeInclusionProof(LOG.reader, at, SIZE)).map((hash) => hash.toString('base64url')),
      checkpoint: await LOG.makeCheckpoint(SIZE),
    };
    return write(`proof-${String(at)}.json`, JSON.stringify(document));
  };

  it('proves that one event is in the log', async () => {
    const at = 7;
    const event = write('event.json', JSON.stringify(JSON.parse(LOG.events[at]!), null, 2));
    const path = await proveEvent(at);
    const holds = await run([event, '--proof', path, '--key', KEY]);
    expect(holds).toMatchObject({ code: 0, stderr: '' });
    expect(holds.stdout).toContain(`${event} verifies:\n  log      passkey-manager/test\n`);
    expect(holds.stdout).toContain('place    leaf 7 of 40\n');
    expect(await run(['-', '--proof', path, '--key', KEY], LOG.events[at]!)).toMatchObject({ code: 0 });
    const [newer] = makeLogSigners(SampleLog.ORIGIN).map(({ key }) => formatVerifierKey(key));
    const keys = ['--key', KEY, '--key', write('newer.pub', `${newer!}\n`)];
    expect(await run(['-', '--proof', path, ...keys], LOG.events[at]!)).toMatchObject({ code: 0 });
    const other = await run(['-', '--proof', path, '--key', KEY], LOG.events[at + 1]!);
    expect(other).toEqual({ code: 1, stdout: '', stderr: `- does not verify: ${ALTERED}\n` });
  });

  it('says that the proof of an event covers the pseudonym of its user, and no user id', async () => {
    const at = LOG.events.findIndex((event) => 'user' in (JSON.parse(event!) as object));
    const { user, ...record } = JSON.parse(LOG.events[at]!) as { user: { uid: string } };
    const shown = { ...record, user: { uid: 'ada', uid_alt: user.uid } };
    const args = ['-', '--proof', await proveEvent(at), '--key', KEY];
    const { code, stdout } = await run(args, JSON.stringify(shown));
    expect(code).toBe(0);
    expect(stdout).toContain(`  user     pseudonym ${user.uid}; nothing proves which user id it stands for\n`);
    expect(stdout).not.toContain('ada');
  });

  it.each([
    ['no export', ['--key', KEY], 'one EXPORT or EVENT'],
    ['two exports', [EXPORT, EXPORT, '--key', KEY], 'one EXPORT or EVENT'],
    ['no key', [EXPORT], '--key'],
    ['an option that there is not', [EXPORT, '--key', KEY, '--force'], '--force'],
    [
      'a proof of an event with what goes with an export',
      [EXPORT, '--key', KEY, '--proof', CONSISTENCY, '--since', OLDER],
      '--proof allows only',
    ],
    ['a consistency proof of nothing older', [EXPORT, '--key', KEY, '--consistency', CONSISTENCY], '--since'],
    ['a time that is none', [EXPORT, '--key', KEY, '--retained-since', 'soon'], '--retained-since'],
    ['an export that is not there', [`${EXPORT}.gone`, '--key', KEY], 'ENOENT'],
    ['a directory for an export', [DIRECTORY, '--key', KEY], 'EISDIR'],
    ['a key file that is none', [EXPORT, '--key', EXPORT], 'line 1: a verifier key is name+hash+base64'],
    ['checkpoints that are not there', [EXPORT, '--key', KEY, '--checkpoints', `${ANCHORED}.gone`], 'ENOENT'],
  ])('refuses %s', async (_, options, reason) => {
    const { code, stdout, stderr } = await run(options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(reason);
    expect(stderr).toContain('usage: npm run audit:verify -- ');
  });
});
