import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SampleLog } from '../test/support/sample-log.js';
import { formatVerifierKey } from '../src/tlog/keys.js';
import { parseArguments } from './command-line.js';
import { describeFailure, PROGRAM, readArchiveCommand } from './archive-command.js';

const NOW = new Date('2026-05-31T12:00:00Z');

let directory: string;
let key: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-archive-'));
  key = join(directory, 'audit.pub');
  await writeFile(key, SampleLog.SIGNERS.map(({ key }) => `${formatVerifierKey(key)}\n`).join(''));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const ENVIRONMENT = { DATABASE_URL: 'postgresql://migrator@localhost/passkeys' };
const readArguments = (...args: string[]): unknown =>
  readArchiveCommand(parseArguments(PROGRAM, args).values, ENVIRONMENT, NOW);
const readCommand = (before: string, ...args: string[]): unknown =>
  readArguments('--before', before, '--key', key, ...args);

describe('audit:archive', () => {
  it.each(['2026-02-28', '2026-03-01', '2020-01-15'])('may drop events that are older than %s', (before) => {
    expect(readCommand(before, '--to', directory)).toMatchObject({
      before: new Date(before),
      directory,
      dryRun: false,
      keys: [{ name: SampleLog.ORIGIN }, { name: SampleLog.ORIGIN }],
    });
  });

  it.each(['2026-03-04', '2026-05-01', '2027-01-01'])(
    'refuses to drop events of the last three months: %s',
    (before) => {
      expect(() => readCommand(before)).toThrow(/PCI DSS 10\.5\.1/);
    },
  );

  it.each(['2026-13-01', '2026-02', 'yesterday', '2026-01-01T00:00:00Z', ''])('refuses the date %j', (before) => {
    expect(() => readCommand(before)).toThrow(/is not a date like 2026-01-31/);
  });

  it('requires a date and verifier keys', async () => {
    expect(() => readArguments('--key', key)).toThrow('Give --before and --key.');
    expect(() => readArguments('--before', '2026-01-01')).toThrow('Give --before and --key.');
    expect(() => readArguments('--befor', '2026-01-01')).toThrow("Unknown option '--befor'.");
    await writeFile(join(directory, 'none.pub'), 'no key\n');
    const args = ['--before', '2026-01-01', '--key', join(directory, 'none.pub')];
    expect(() => readArguments(...args)).toThrow(/none\.pub: line 1: a verifier key is name\+hash\+base64/);
  });

  it.each([
    ['ENOSPC', 'write', 'the disk is full'],
    ['EACCES', 'mkdir', 'permission denied'],
    ['EROFS', 'open', 'the file system is read-only'],
  ])('reports the path, the call and the cause of %s', (code, syscall, told) => {
    const error = Object.assign(new Error('?'), { code, syscall, path: '/worm/a.ndjson' });
    expect(describeFailure(error)).toBe(`/worm/a.ndjson: ${syscall} failed, ${told}.`);
  });
});
