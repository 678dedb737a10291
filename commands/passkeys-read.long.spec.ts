import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, it } from '@jest/globals';
import { COSE, LINE, MOVED_PASSKEYS } from '../test/support/foreign-dumps.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'passkeys-read-'));

afterAll(() => {
  rmSync(DIRECTORY, { recursive: true, force: true });
});

const write = (name: string, content: string): string => {
  const path = join(DIRECTORY, name);
  writeFileSync(path, content);
  return path;
};

function start(args: readonly string[]) {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'dist/commands/passkeys-read.js', ...args]);
}

async function run(args: readonly string[], input = '') {
  const child = start(args);
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code: code as number, lines: stdout.split('\n').filter((line) => line !== ''), stderr };
}

const HEADER = 'credentialId,userId,publicKey,signCount';
const row = (userId: string): string => `${LINE.credentialId},${userId},${COSE},0`;

describe('npm run passkeys:read', () => {
  it('writes the lines of several dumps, and says how many', async () => {
    const files = ['csv', 'json'].map((form) => `${MOVED_PASSKEYS}/better-auth.${form}`);
    const { code, lines, stderr } = await run(['--from', 'better-auth', ...files]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '6 rows: 6 passkeys\n' });
    expect(lines.slice(0, 3)).toEqual(lines.slice(3));
    expect(JSON.parse(lines[0]!)).toMatchObject({ source: 'better-auth' });
  });

  it('names the rows that cannot be read, goes on, and ends with 1', async () => {
    const path = write('dump.csv', `${HEADER}\n${row('a')}\n,b,${COSE},0\n${row('c"')}\n${row('d')}\n`);
    const { code, lines, stderr } = await run(['--from', 'csv', path]);
    expect(lines.map((line) => (JSON.parse(line) as { userId: string }).userId)).toEqual(['a', 'd']);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: [
        `${path}:3: credentialId is empty`,
        `${path}:4: a quote in it does not end`,
        '4 rows: 2 passkeys, 2 that cannot be read',
        '',
      ].join('\n'),
    });
  });

  it('writes to a file that only its owner may read', async () => {
    const path = join(DIRECTORY, 'passkeys.ndjson');
    const { code, lines } = await run(['--from', 'better-auth', '--out', path, `${MOVED_PASSKEYS}/better-auth.csv`]);
    expect({ code, lines }).toEqual({ code: 0, lines: [] });
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(4);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it.each<[string, () => string, string]>([
    ['is missing', () => join(DIRECTORY, 'nowhere.csv'), 'There is no file'],
    ['lacks columns', () => write('wrong.csv', 'a,b\n1,2\n'), 'wrong.csv'],
  ])('leaves the file of --out as it was when a dump %s, and says what to do', async (_, dump, sentence) => {
    const [fresh, held] = [join(DIRECTORY, 'fresh.ndjson'), write('held.ndjson', 'held')];
    const path = dump();
    for (const out of [fresh, held]) {
      const { code, stderr } = await run(['--from', 'csv', '--out', out, path]);
      expect(code).toBe(2);
      expect(stderr).toContain(sentence);
      expect(stderr.trim().split('\n')).toHaveLength(1);
    }
    expect([existsSync(fresh), existsSync(`${fresh}.partial`)]).toEqual([false, false]);
    expect(readFileSync(held, 'utf8')).toBe('held');
  });

  it('names the columns of its own CSV that it does not know, so that no slip of the pen loses what they hold', async () => {
    const { code, lines, stderr } = await run(
      ['--from', 'csv', '-'],
      `${HEADER},user_hande,rp_id\n${row('a')},AQID,a\n`,
    );
    expect({ code, lines: lines.length, stderr }).toEqual({
      code: 0,
      lines: 1,
      stderr: '-: columns that are not read: user_hande\n1 row: 1 passkey\n',
    });
  });

  it('names what the import would refuse', async () => {
    const [long, future] = ['x'.repeat(257), '2999-01-01'];
    const dump = `${HEADER},createdAt,backedUp,backupEligible\n${row(long)},,,\n${row('b')},${future},t,f\n`;
    const { code, stderr } = await run(['--from', 'csv', '-'], dump);
    expect(code).toBe(1);
    expect(stderr).toContain('-:2: userId must be text of 1 to 256 characters without control characters\n');
    expect(stderr).toContain(
      '-:3: createdAt must not be in the future; a passkey that is not backup eligible cannot be backed up\n',
    );
  });

  it.each([
    ['no source', [`${MOVED_PASSKEYS}/better-auth.csv`], /^Give --from with one of hanko, .*\nusage: /],
    ['an unknown source', ['--from', 'auth0', '-'], /^Give --from with one of hanko, .*\nusage: /],
    ['no file', ['--from', 'csv'], /^Give a FILE\.\nusage: /],
    [
      'a file that is not there',
      ['--from', 'csv', join(DIRECTORY, 'none')],
      /^There is no file .*none: dump the table into it first \(docs\/portability-readers\.md\)\.\n$/,
    ],
    [
      'columns that are missing',
      ['--from', 'hanko', `${MOVED_PASSKEYS}/better-auth.csv`],
      /better-auth\.csv lacks columns: sign_count/,
    ],
  ])('ends with 2 and a sentence for %s', async (_, args, sentence) => {
    const { code, lines, stderr } = await run(args);
    expect({ code, lines }).toEqual({ code: 2, lines: [] });
    expect(stderr).toMatch(sentence);
  });

  it('is quiet when the reader of its output has gone', async () => {
    const path = write('long.csv', `${HEADER}\n${`${row('a')}\n`.repeat(20_000)}`);
    const child = start(['--from', 'csv', path]);
    child.stdout.once('data', () => child.stdout.destroy());
    const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'close')]);
    expect({ stderr, code }).toEqual({ stderr: '', code: 2 });
  });
});
