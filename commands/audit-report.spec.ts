import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeSampleWeek } from '../test/support/sample-week.js';
import { makeLogSigners, SampleLog } from '../test/support/sample-log.js';
import { formatVerifierKey } from '../src/tlog/keys.js';

let directory: string;
const path = (name: string): string => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'passkey-report-'));
  const log = new SampleLog(makeSampleWeek());
  const size = log.events.length;
  const lines = await log.export(0, size, await log.makeCheckpoint(size), size);
  await writeFile(path('export.ndjson'), lines.join(''));
  await writeFile(path('altered.ndjson'), lines.toSpliced(100, 1).join(''));
  await writeFile(path('notes'), (await Promise.all([10, 500].map((at) => log.makeCheckpoint(at)))).join(''));
  await writeFile(path('audit.pub'), SampleLog.SIGNERS.map(({ key }) => `${formatVerifierKey(key)}\n`).join(''));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function report(...args: string[]): Promise<{ code: number; told: string; error: string }> {
  const node = ['--disable-warning=ExperimentalWarning', 'dist/commands/audit-report.js'];
  return new Promise((resolve) => {
    execFile(process.execPath, [...node, ...args], (error, told, complaint) => {
      resolve({ code: (error?.code as number | undefined) ?? 0, told, error: complaint });
    });
  });
}

describe('npm run audit:report', () => {
  it('reports on a verified export on the terminal and as a page', async () => {
    const args = ['--key', path('audit.pub'), '--checkpoints', path('notes'), '--html', path('page.html')];
    const { code, told } = await report(path('export.ndjson'), ...args);
    expect(code).toBe(0);
    expect(told).toMatch(/^Audit log review: passkey-manager\/test\n/);
    expect(told).toContain('Verified: every event is as it was logged');
    expect(told).toContain('2 checkpoints match, 0 are outside the range, 0 are newer');
    expect(told).toContain('Windows Hello');
    expect(await readFile(path('page.html'), 'utf8')).toContain('<h1>Audit log review: passkey-manager/test</h1>');
  });

  it('reports across a change of keys, and on anchored checkpoints that the export does not cover', async () => {
    const keys = makeLogSigners(SampleLog.ORIGIN);
    await writeFile(path('new.pub'), keys.map(({ key }) => `${formatVerifierKey(key)}\n`).join(''));
    const newer = new SampleLog(5_000);
    await writeFile(path('live'), await newer.makeCheckpoint(5_000, undefined, keys));
    const given = ['--key', path('audit.pub'), '--key', path('new.pub'), '--checkpoints', path('live')];
    const { code, told } = await report(path('export.ndjson'), ...given);
    expect([code, told]).toEqual([0, expect.stringContaining('Verified: every event is as it was logged')]);
    expect(told).toContain('Anchored checkpoints that are newer, not covered by this export: 1');
    expect(told).toContain('Confirm that each audit.rekey was intended: 1');
  });

  it('says that nothing is proved when it has no key', async () => {
    const { code, told } = await report(path('export.ndjson'), '--from', '2026-01-06', '--to', '2026-01-07');
    expect([code, told]).toEqual([0, expect.stringContaining('NOT VERIFIED')]);
    expect(told).toContain('901 other events');
  });

  it('refuses an export with a changed line, with the line’s number, and reports nothing', async () => {
    const { code, told, error } = await report(
      path('altered.ndjson'),
      '--key',
      path('audit.pub'),
      '--html',
      path('none'),
    );
    expect([code, told]).toEqual([1, '']);
    expect(error).toMatch(/altered\.ndjson does not verify: line 101: /);
    await expect(readFile(path('none'))).rejects.toThrow('ENOENT');
  });

  it.each([[[]], [['nowhere']], [['a', 'b']], [['a', '--from', 'noon']], [['a', '--checkpoints', 'b']]])(
    'refuses the arguments %j',
    async (args) => {
      expect(await report(...args)).toMatchObject({ code: 2, told: '', error: expect.stringContaining('usage:') });
    },
  );
});
