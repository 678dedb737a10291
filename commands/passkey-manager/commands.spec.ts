import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { COMMANDS } from './commands.js';
import { runCommandLine } from './run-command-line.js';

async function ask(...args: string[]): Promise<{ code: number | undefined; out: string; err: string }> {
  const written = { out: '', err: '' };
  const stdout = { write: (text: string) => (written.out += text) };
  const stderr = { write: (text: string) => (written.err += text) };
  const code = await runCommandLine(args, { stdout, stderr, env: {}, onInterrupt: () => () => undefined });
  return { code, ...written };
}

const names = [...COMMANDS.map(({ words }) => words.join(' ')), 'completion'];

describe.each(names)('passkey-manager %s', (name) => {
  const words = name.split(' ');

  it('has a help with an example and its exit codes', async () => {
    for (const option of ['--help', '-h']) {
      const { code, out, err } = await ask(...words, option);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(out).toMatch(new RegExp(`^usage: passkey-manager ${name}`));
      expect(out).toMatch(new RegExp(`^Exit codes:\n {2}0 (.*\n)+\nExamples:\n {2}passkey-manager ${name}`, 'm'));
    }
  });

  it('is in the help of the program, in that of its first word, and in docs/command-line.md', async () => {
    expect((await ask('--help')).out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    expect((await ask(words[0]!, '--help')).out).toContain(words.at(-1)!);
    const page = readFileSync('docs/command-line.md', 'utf8');
    const rows = page.split('\n').filter((line) => line.startsWith(`| \`${words[0]!}`));
    expect(rows.join('\n')).toMatch(new RegExp(`\\b${words.at(-1)!}\\b`));
  });

  it('refuses an unknown option with a sentence and its usage', async () => {
    const { code, out, err } = await ask(...words, '--unknown-option');
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(new RegExp(`^Unknown option '--unknown-option'.*\nusage: passkey-manager ${name}`));
  });
});

it('passkey-manager --version prints the version', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(await ask('--version')).toEqual({ code: 0, out: `${version}\n`, err: '' });
});

it('passkey-manager alone prints its help, and ends with 2', async () => {
  expect(await ask()).toEqual({ code: 2, out: (await ask('--help')).out, err: '' });
});
