import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { formatEnd, formatHeader, formatLeftOut, signEnd } from '../src/portability/export-frame.js';
import { formatVerifierKey } from '../src/tlog/keys.js';
import { makeLogSigners } from '../test/support/sample-log.js';

const ORIGIN = 'passkey-manager/test';
const DIRECTORY = mkdtempSync(join(tmpdir(), 'verify-export-'));
const [SIGNERS, LATER] = [makeLogSigners(ORIGIN), makeLogSigners(ORIGIN)];
const TIME = '2026-03-01T10:00:00.000Z';
const BODY = [
  formatHeader({ rpId: 'login.example.com', deployment: ORIGIN, exportedAt: TIME, exportId: 'the-event' }),
  '{"id":"1","userId":"ada"}\n',
  formatLeftOut('2'),
];
const digest = createHash('sha256').update(BODY.join('')).digest();
const signature = await signEnd({ count: 1, digest }, { origin: ORIGIN, signers: SIGNERS }, new Date(TIME));
const EXPORT = [...BODY, formatEnd({ count: 1, leftOut: 1, digest: digest.toString('base64url'), signature })].join('');

const write = (name: string, text: string): string => {
  const path = join(DIRECTORY, name);
  writeFileSync(path, text);
  return path;
};
const toKeyFile = (signers: typeof SIGNERS): string => signers.map(({ key }) => `${formatVerifierKey(key)}\n`).join('');
const FILE = write('passkeys.ndjson', EXPORT);
const KEY = write('audit.pub', toKeyFile(SIGNERS));
const LATER_KEY = write('later.pub', toKeyFile(LATER));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(options: readonly string[], input?: string): Promise<Outcome> {
  const flags = ['--disable-warning=ExperimentalWarning', 'dist/commands/passkeys-verify-export.js'];
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [...flags, ...options], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
    child.stdin?.end(input);
  });
}

afterAll(() => {
  rmSync(DIRECTORY, { recursive: true });
});

describe('npm run passkeys:verify-export', () => {
  it('says what an export holds', async () => {
    const { code, stdout, stderr } = await run([FILE, '--key', KEY]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`${FILE} verifies:\n  of       login.example.com, by ${ORIGIN}\n  passkeys 1\n`);
    expect(stdout).toContain('  left out 1 rows that failed their integrity check\n');
    expect(stdout).toContain(`  began    ${TIME}, as event the-event\n`);
    expect(stdout).toMatch(/signed {3}2026-03-01T10:00:00Z, by ed25519 \(\S+\) and ml-dsa-44 \(\S+\)\n/);
    expect(stdout).toContain(`  digest   ${digest.toString('base64url')}\n`);
  });

  it('reads standard input, and takes the keys of before', async () => {
    expect(await run(['-', '--key', KEY, '--key', LATER_KEY], EXPORT)).toMatchObject({ code: 0 });
    const { code, stderr } = await run(['-', '--key', LATER_KEY], EXPORT);
    expect(code).toBe(1);
    expect(stderr).toContain('- does not verify: line 4: the checkpoint lacks the ed25519 signature');
  });

  it.each([
    ['cut off', EXPORT.slice(0, EXPORT.lastIndexOf('{"kind":"end"')), 'line 3: the export is cut off'],
    ['altered', EXPORT.replace('ada', 'eve'), 'line 4: the lines before are not those of its digest'],
    ['empty', '', 'line 1: the file is empty'],
  ])('ends with 1 for a file that is %s, and names the line', async (name, text, message) => {
    const path = write('wrong.ndjson', text);
    const { code, stdout, stderr } = await run([path, '--key', KEY]);
    expect([name, code, stdout]).toEqual([name, 1, '']);
    expect(stderr).toContain(`${path} does not verify: ${message}`);
  });

  it.each([
    ['no key', [FILE]],
    ['no file', ['--key', KEY]],
    ['a file that is not there', [join(DIRECTORY, 'none'), '--key', KEY]],
    ['a key file that holds none', [FILE, '--key', FILE]],
  ])('ends with 2 for %s, and says so', async (_, options) => {
    const { code, stderr } = await run(options);
    expect(code).toBe(2);
    expect(stderr).toContain('usage: npm run passkeys:verify-export -- EXPORT|- --key FILE…');
  });
});
