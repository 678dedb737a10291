import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCommandLine } from './run-command-line.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'passkey-manager-completion-'));
  writeFileSync(join(directory, 'login.yaml'), '');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

async function writeScript(shell: string): Promise<string> {
  let script = '';
  const stdout = { write: (text: string) => (script += text) };
  await runCommandLine(['completion', shell], {
    stdout,
    stderr: process.stderr,
    env: {},
    onInterrupt: () => () => undefined,
  });
  const path = join(directory, `passkey-manager.${shell}`);
  writeFileSync(path, script);
  return path;
}

const isInstalled = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

interface Case {
  readonly words: string;
  readonly offers: readonly string[];
}

/** What a user has typed, up to the cursor, and everything that the shell offers then. */
const CASES: readonly Case[] = [
  { words: 'wh', offers: ['whoami'] },
  { words: 'c', offers: ['credentials', 'completion'] },
  { words: 'credentials s', offers: ['show', 'suspend'] },
  { words: 'users show ada --r', offers: ['--rp'] },
  { words: 'users show ada --output ', offers: ['table', 'json'] },
  { words: 'users show ada -o j', offers: ['json'] },
  { words: 'credentials list --status re', offers: ['revoked'] },
  { words: 'policy check log', offers: ['login.yaml'] },
  { words: 'whoami --ca log', offers: ['login.yaml'] },
  { words: 'users show ada --rp ', offers: [] },
  { words: 'completion f', offers: ['fish'] },
  { words: 'audit verify export --re', offers: ['--retained-since'] },
];

describe('the completion of bash', () => {
  it.each(CASES)('offers $offers after "$words"', async ({ words, offers }) => {
    const script = await writeScript('bash');
    const typed = ['passkey-manager', ...words.split(' ')];
    const ask = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); $(complete -p passkey-manager | sed 's/.*-F \\([^ ]*\\).*/\\1/'); printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-uc', ask, 'bash', script, ...typed], {
      cwd: directory,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    const offered = stdout.split('\n').filter((word) => word !== '');
    expect(offered.sort()).toEqual([...offers].sort());
  });
});

describe.each(['zsh', 'fish'])('the completion of %s', (shell) => {
  it.each(['users', 'show', 'reinstate', 'completion', 'audit'])('has the word %s', async (word) => {
    const { readFileSync } = await import('node:fs');
    expect(readFileSync(await writeScript(shell), 'utf8')).toMatch(new RegExp(`\\b${word}\\b`));
  });

  (isInstalled(shell) ? it : it.skip)('is a script that the shell can read', async () => {
    const { status, stderr } = spawnSync(shell, ['-n', await writeScript(shell)], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  (isInstalled('fish') && shell === 'fish' ? it : it.skip)('offers the words that can follow', async () => {
    const ask = `source ${await writeScript('fish')}; complete -C 'passkey-manager credentials s'`;
    const { stdout } = spawnSync('fish', ['-c', ask], { encoding: 'utf8' });
    expect(stdout.split('\n').map((line) => line.split('\t', 1)[0])).toEqual(
      expect.arrayContaining(['show', 'suspend']),
    );
  });
});
