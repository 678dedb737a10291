import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';

/** Every program, by its script in package.json or its built file, with the options that it takes. */
const PROGRAMS: readonly (readonly [program: string, options: readonly string[]])[] = [
  ['audit:archive', ['before', 'key', 'to', 'dry-run']],
  ['audit:report', ['key', 'checkpoints', 'from', 'to', 'html']],
  ['audit:verify', ['key', 'proof', 'since', 'consistency', 'checkpoints', 'retained-since']],
  ['inventory', ['json']],
  ['migration:run', ['grants', 'sequencer']],
  ['reconcile', ['export', 'key', 'json']],
  ['dist/dev/prepare.js', []],
  ['check:rooms', ['write']],
  ['conformance', ['check']],
  ['crashes', ['rounds', 'callers', 'every', 'directory']],
  ['fuzz', []],
  ['large-log', []],
  ['names', []],
  ['rotations', ['rotations', 'connections']],
  ['siege', ['short', 'attack']],
  ['vectors', ['root', 'time', 'except']],
];

const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Readonly<Record<string, string>> };

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program without the build that its script may begin with. */
function run(program: string, ...args: string[]): Promise<Outcome> {
  const script = scripts[program]?.split(' && ').at(-1) ?? `node ${program}`;
  const [, ...command] = script.split(' ');
  return new Promise((resolve) => {
    execFile(process.execPath, [...command, ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr });
    });
  });
}

describe.each(PROGRAMS)('%s', (program, options) => {
  it('prints its help to standard output and ends with 0', async () => {
    const { code, stdout } = await run(program, '--help');
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('usage: ') });
    for (const option of [...options, 'help']) expect(stdout).toMatch(new RegExp(`^ +--${option} .*\\w`, 'm'));
    expect(stdout).toMatch(/^Exit codes:/m);
    expect(stdout).toMatch(/^Examples?:/m);
  });

  it('answers an unknown option with a sentence and the usage on standard error, and ends with 2', async () => {
    const { code, stdout, stderr } = await run(program, '--unknown-option');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^Unknown option '--unknown-option'.*\n+usage: /s);
  });
});
