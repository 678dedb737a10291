import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../test/support/until.js';
import { LogOutput } from './log-output.js';
import { createBufferedLogger } from './pino-logger.js';

describe('log lines', () => {
  let file: string;
  let fd: number;
  beforeEach(() => {
    file = join(mkdtempSync(join(tmpdir(), 'passkey-manager-log-')), 'log');
    fd = openSync(file, 'a');
  });
  afterEach(() => {
    closeSync(fd);
    rmSync(dirname(file), { recursive: true });
  });

  const written = (): string[] => readFileSync(file, 'utf8').split('\n').filter(Boolean);
  const messages = (): unknown[] => written().map((line) => (JSON.parse(line) as { msg: string }).msg);

  it('wait for each other, but no warning waits', async () => {
    const logger = createBufferedLogger(new LogOutput(fd), { level: 'info' });
    logger.info('first');
    logger.info('second');
    expect(messages()).toEqual([]);
    logger.warn('third');
    await until(() => messages().length === 3);
    expect(messages()).toEqual(['first', 'second', 'third']);
  });

  it('have the name, message and stack of an error, and the same members for anything else that was thrown', async () => {
    const logger = createBufferedLogger(new LogOutput(fd), { level: 'info' });
    const thrown = new TypeError('broken', { cause: 'not shown' });
    for (const error of [thrown, 'a text']) logger.warn({ error }, 'failed');
    await until(() => written().length === 2);
    expect(written().map((line) => (JSON.parse(line) as { error: unknown }).error)).toEqual([
      { name: 'TypeError', message: 'broken', stack: thrown.stack },
      { name: 'string', message: 'a text' },
    ]);
  });

  it('wait for a moment at most', async () => {
    createBufferedLogger(new LogOutput(fd), { level: 'info' }).info('alone');
    expect(messages()).toEqual([]);
    await until(() => messages().length === 1);
  });

  it('are complete and in order, however many come while others are being written', async () => {
    const output = new LogOutput(fd);
    const lines = Array.from({ length: 2_000 }, (_, n) => `${String(n)} ${'x'.repeat(100)}`);
    for (const line of lines) output.write(`${line}\n`);
    output.flush();
    await until(() => written().length === lines.length);
    expect(written()).toEqual(lines);
    expect(output).toMatchObject({ lost: 0, failure: undefined });
  });

  it('are written at the end of the process', () => {
    const output = new LogOutput(fd);
    output.write('last words\n');
    output.flushAtExit();
    expect(written()).toEqual(['last words']);
  });
});

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('a full disk', () => {
  it('loses lines, counts them and gives the reason', async () => {
    const full = openSync('/dev/full', 'w');
    const output = new LogOutput(full);
    output.write('one\ntwo\n');
    output.flush();
    await until(() => output.lost === 2);
    expect(output.failure).toBe('ENOSPC');
    output.write('three\n');
    output.flushAtExit();
    closeSync(full);
  });
});

onLinux('a pipe', () => {
  it('whose reader is gone loses lines', async () => {
    const reader = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const output = new LogOutput(findDescriptor(reader.stdin));
    reader.stdin.on('error', () => undefined);
    reader.kill();
    await new Promise((resolve) => reader.once('exit', resolve));
    output.write('nobody hears this\n');
    output.flush();
    await until(() => output.lost === 1);
    expect(['EPIPE', 'EBADF', 'ECONNRESET']).toContain(output.failure);
  });

  it('that nobody reads blocks nothing, and holds at most a mebibyte', () => {
    const reader = spawn('sleep', ['60'], { stdio: ['pipe', 'ignore', 'ignore'] });
    const output = new LogOutput(findDescriptor(reader.stdin));
    for (let n = 0; n < 3_000; n += 1) output.write(`${'x'.repeat(1_023)}\n`);
    expect(output.lost).toBeGreaterThan(1_900);
    expect(output.failure).toBe('the reader has stalled');
    reader.kill();
  });
});

function findDescriptor(stream: unknown): number {
  return (stream as { _handle: { fd: number } })._handle.fd;
}
