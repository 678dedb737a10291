import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { VerifiedLog } from './audit-log.js';
import { LogTally } from './log-tally.js';
import { describeRestores } from './restores.js';
import { describeReviews } from './reviews.js';

const DIRECTORY = mkdtempSync(join(tmpdir(), 'reviews-'));
afterAll(() => {
  rmSync(DIRECTORY, { recursive: true });
});

const NOW = new Date('2026-03-05T12:00:00Z');
const AUDITOR = 'spiffe://bank.example/auditor';

function makeEvent(type: string, time: string, more: object = {}): object {
  return {
    actor: { app_uid: AUDITOR },
    metadata: { event_code: type },
    status: 'Success',
    time: Date.parse(time),
    ...more,
  };
}

/** A verified log that begins on March 1st. */
function makeLog(...events: readonly object[]): VerifiedLog {
  const tally = new LogTally();
  for (const event of events) tally.add(event);
  const proved = { span: [new Date('2026-03-01T08:00:00Z'), NOW] } as unknown as VerifiedLog['proved'];
  return { tally, proved, fault: undefined, newestAt: NOW, trails: [] };
}

function keep(name: string, text: string): string {
  const path = join(DIRECTORY, name);
  writeFileSync(path, text);
  return path;
}

describe('the daily reviews', () => {
  const log = makeLog(
    makeEvent('audit.export', '2026-03-03T23:59:59.999Z'),
    makeEvent('audit.export', '2026-03-04T00:00:00Z'),
    makeEvent('audit.read', '2026-03-04T09:00:00Z'),
    makeEvent('audit.read', '2026-03-02T09:00:00Z'),
  );

  it('show who exported and read the log on each day that is over', () => {
    expect(describeReviews(log, undefined, NOW).content).toMatchObject({
      days: [
        { day: '2026-03-04', readings: [{ caller: AUDITOR, reads: 1, exports: 1 }] },
        { day: '2026-03-03', readings: [{ caller: AUDITOR, reads: 0, exports: 1 }] },
        { day: '2026-03-02', readings: [{ caller: AUDITOR, reads: 1, exports: 0 }] },
        { day: '2026-03-01', readings: [] },
      ],
    });
  });

  it('are a question for the days without an export, and where no report was kept', () => {
    expect(describeReviews(log, undefined, NOW).open).toEqual([
      'The log was not exported on 2 of the last 4 days (between 2026-03-01 and 2026-03-02): say how it was reviewed then.',
      expect.stringMatching(/^No report of a review was given/),
    ]);
  });

  it('say that there is no whole day yet, and how often the log was exported today', () => {
    const young = makeLog(...['08', '09', '10'].map((hour) => makeEvent('audit.export', `2026-03-01T${hour}:00:00Z`)));
    const { content, summary, open } = describeReviews(young, undefined, new Date('2026-03-01T12:00:00Z'));
    expect(content).toMatchObject({
      today: { day: '2026-03-01', readings: [{ caller: AUDITOR, reads: 0, exports: 3 }] },
      days: [],
    });
    expect(summary[0]).toBe(
      'The log has no whole day yet. Today, which is not over and not counted: 3 exports so far.',
    );
    expect(summary.filter((line) => line.startsWith('|'))).toEqual([]);
    expect(open).toHaveLength(1);
  });

  it('leave today out of the days that they count', () => {
    const [counted] = describeReviews(log, undefined, NOW).summary;
    expect(counted).toBe(
      'The log was exported on 2 of the last 4 whole days. Today, which is not over and not counted: 0 exports so far.',
    );
  });

  it('have the kept reports of every folder with their digests', () => {
    const reports = join(DIRECTORY, 'reports');
    mkdirSync(join(reports, '2026'), { recursive: true });
    writeFileSync(join(reports, '2026', 'march.html'), 'report');
    const { content, open } = describeReviews(log, reports, NOW);
    expect(content).toMatchObject({
      keptReports: [
        {
          file: join('2026', 'march.html'),
          sha256: '845e91831319e89c4d656bdb80c278ac09a7230d61e5dfd2e1b1fbb436ac8917',
        },
      ],
    });
    expect(open).toHaveLength(1);
  });
});

describe('the restores', () => {
  it('are those that the log records', () => {
    const facts = { unmapped: { lost_checkpoint: '132 b8NO', continued_checkpoint: '68 x', user_uid: 'somebody' } };
    const log = makeLog(
      makeEvent('audit.restore', '2026-03-02T09:00:00Z', { ...facts, status_detail: 'The log was restored.' }),
    );
    expect(describeRestores(log, []).content).toEqual({
      rehearsals: [],
      restoresOfThisLog: [
        {
          time: '2026-03-02T09:00:00.000Z',
          type: 'audit.restore',
          detail: 'The log was restored.',
          facts: { lost_checkpoint: '132 b8NO', continued_checkpoint: '68 x' },
        },
      ],
    });
  });

  it.each([
    ['as the runbook says', 'dump and restore, in 49 s\n  before    kept\n', true],
    ['otherwise', 'dump and restore, in 49 s\n  before    lost; expected: kept\n', false],
    ['by a failure', 'dump and restore, in 3 s\n  failed: Error: no server\n', false],
    ['before its end', ' 1. pg_dump while callers change passkeys (0.4 s): done\n', false],
  ])('say that a rehearsal ended %s', (_how, text, asExpected) => {
    const drill = keep('drill.txt', text);
    const { content, open } = describeRestores(makeLog(), [drill]);
    expect(content).toMatchObject({ rehearsals: [{ file: drill, asExpected }] });
    expect(open).toEqual(asExpected ? [] : [`The rehearsal in ${drill} did not end as the runbook says.`]);
  });

  it('are a question where no rehearsal was shown', () => {
    expect(describeRestores(makeLog(), []).open).toEqual([
      expect.stringMatching(/^No rehearsal of a restore was shown/),
    ]);
  });
});
