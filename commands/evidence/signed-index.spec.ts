import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { makeLogSigners, SampleLog } from '../../test/support/sample-log.js';
import { IndexError, NOTE, signDirectory, SUMS, verifyDirectory } from './signed-index.js';

const NOW = new Date('2026-03-01T12:00:00Z');
const KEYS = { keys: SampleLog.SIGNERS.map(({ key }) => key), former: [] };
const OTHERS = makeLogSigners('passkey-manager/test');

let directory: string;
const path = (file: string): string => join(directory, file);

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'signed-index-'));
  writeFileSync(path('README.md'), '# Evidence\n');
  writeFileSync(path('clocks.json'), '{"offset":1}\n');
  await signDirectory(directory, { origin: 'passkey-manager/test', signers: SampleLog.SIGNERS }, NOW);
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

async function findFaults(keys = KEYS): Promise<readonly string[]> {
  try {
    await verifyDirectory(directory, keys);
    return [];
  } catch (error) {
    if (!(error instanceof IndexError)) throw error;
    return error.findings;
  }
}

describe('a signed directory', () => {
  it('verifies with the published keys, and says when it was signed', async () => {
    const { files, signed } = await verifyDirectory(directory, KEYS);
    expect(files).toEqual(['README.md', 'clocks.json']);
    expect(signed).toMatchObject({ origin: 'passkey-manager/test evidence', size: 2, time: NOW });
  });

  it('is listed as sha256sum checks it', () => {
    const { stdout } = { stdout: execFileSync('sha256sum', ['--check', SUMS], { cwd: directory, encoding: 'utf8' }) };
    expect(stdout).toBe('README.md: OK\nclocks.json: OK\n');
  });

  it.each<readonly [change: string, finding: RegExp, make: () => void]>([
    [
      'altered',
      /^clocks\.json was altered: /,
      () => {
        writeFileSync(path('clocks.json'), '{"offset":2}\n');
      },
    ],
    [
      'missing',
      /^clocks\.json is missing$/,
      () => {
        rmSync(path('clocks.json'));
      },
    ],
    [
      'added',
      /^more\.json was added: /,
      () => {
        writeFileSync(path('more.json'), '{}');
      },
    ],
    [
      'a folder that was added',
      /^more was added: /,
      () => {
        mkdirSync(path('more'));
      },
    ],
    [
      'a link to the same content',
      /^clocks\.json is not a file$/,
      () => {
        const copy = `${directory}.copy`;
        writeFileSync(copy, readFileSync(path('clocks.json')));
        rmSync(path('clocks.json'));
        symlinkSync(copy, path('clocks.json'));
      },
    ],
  ])('names a file that is %s', async (_change, finding, make) => {
    make();
    expect(await findFaults()).toEqual([expect.stringMatching(finding)]);
    rmSync(`${directory}.copy`, { force: true });
  });

  it('names everything that does not hold at once', async () => {
    writeFileSync(path('README.md'), 'other');
    rmSync(path('clocks.json'));
    writeFileSync(path('more.json'), '{}');
    expect(await findFaults()).toEqual([
      expect.stringMatching(/^README\.md was altered/),
      'clocks.json is missing',
      expect.stringMatching(/^more\.json was added/),
    ]);
  });

  it('does not verify when the list was changed with the file', async () => {
    writeFileSync(path('clocks.json'), '{"offset":2}\n');
    const sums = execFileSync('sha256sum', ['README.md', 'clocks.json'], { cwd: directory, encoding: 'utf8' });
    writeFileSync(path(SUMS), sums);
    expect(await findFaults()).toEqual([`${SUMS} is not the list that the note signs`]);
  });

  it.each([SUMS, NOTE])('does not verify without %s', async (file) => {
    rmSync(path(file));
    expect(await findFaults()).toEqual([`${file} is missing`]);
  });

  it('does not verify with another key, even of the same name', async () => {
    const keys = { keys: OTHERS.map(({ key }) => key), former: [] };
    expect(await findFaults(keys)).toEqual([
      expect.stringMatching(/^SHA256SUMS\.note does not verify: the note lacks the ed25519 signature/),
    ]);
  });

  it('does not verify when one of the keys has not signed', async () => {
    const [ed25519] = SampleLog.SIGNERS;
    rmSync(path(SUMS));
    rmSync(path(NOTE));
    await signDirectory(directory, { origin: 'passkey-manager/test', signers: [ed25519!] }, NOW);
    expect(await findFaults()).toEqual([expect.stringMatching(/lacks the ml-dsa-44 signature/)]);
  });

  it('does not verify when a checkpoint of the log stands in for its note', async () => {
    writeFileSync(path(NOTE), await new SampleLog(2).makeCheckpoint(2));
    expect(await findFaults()).toEqual([
      expect.stringMatching(/belongs to passkey-manager\/test, but no key has that name/),
    ]);
  });
});
