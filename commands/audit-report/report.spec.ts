import { Readable } from 'node:stream';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { HOSTILE, makeSampleWeek, WEEK_START, WINDOWS_HELLO } from '../../test/support/sample-week.js';
import { SampleLog } from '../../test/support/sample-log.js';
import { renderHtml } from './html-report.js';
import { type Report, buildReport, type Section } from './report.js';
import { Review, reviewExport } from './review.js';
import { renderText } from './text-report.js';

const KEYS = SampleLog.SIGNERS.map(({ key }) => key);
const ALWAYS = { from: -Infinity, to: Infinity };
const DAY_MS = 86_400_000;
const modelName = (aaguid: string): string | undefined => (aaguid === WINDOWS_HELLO ? 'Windows Hello' : undefined);

let lines: string[];
beforeAll(async () => {
  const log = new SampleLog(makeSampleWeek());
  const size = log.events.length;
  lines = await log.export(0, size, await log.makeCheckpoint(size), size);
});

/** Splits the lines into chunks of arbitrary size. */
const splitIntoChunks = (text = lines.join('')): AsyncIterable<Buffer> => {
  const bytes = Buffer.from(text);
  return Readable.from(
    Array.from({ length: Math.ceil(bytes.length / 10_007) }, (_, n) => bytes.subarray(n * 10_007, (n + 1) * 10_007)),
  );
};

async function buildSampleReport(period = ALWAYS): Promise<Report> {
  const review = new Review(period);
  const proved = await reviewExport(splitIntoChunks(), review, KEYS);
  return buildReport(review, { file: 'export.ndjson', proved, modelName });
}

const findSection = ({ sections }: Report, id: string): Section => sections.find((one) => one.id === id)!;
const listCells = (report: Report, id: string, columns: number): string[][] =>
  findSection(report, id).rows.map((row) => row.slice(0, columns));

describe('a report', () => {
  it('counts the events of each kind that happened', async () => {
    expect((await buildSampleReport()).figures).toEqual([
      { name: 'Events', value: '1,061' },
      { name: 'Authentications', value: '452', more: '53 refused (10.5 %)' },
      { name: 'Confirmations', value: '3', more: '1 refused (25.0 %)' },
      { name: 'Payments', value: '2', more: '2 refused (50.0 %)' },
      { name: 'Passkeys registered', value: '6', more: '0 refused' },
      { name: 'Passkeys revoked', value: '1' },
      { name: 'Calls denied', value: '34' },
    ]);
  });

  it('counts by class, type and outcome', async () => {
    expect(listCells(await buildSampleReport(), 'types', 4)).toContainEqual([
      'Authentication',
      'credential.verify',
      '452',
      '53',
    ]);
  });

  it('shows refusals by reason, denied callers and refused handshakes', async () => {
    const report = await buildSampleReport();
    expect(listCells(report, 'refusals', 3)).toContainEqual(['credential.verify', 'sign-count-regressed', '1']);
    expect(listCells(report, 'refusals', 3)).toContainEqual(['payment.verify', 'payment-mismatch', '1']);
    expect(findSection(report, 'denied').rows).toEqual([
      ['spiffe://bank.example/batch', 'permission-denied', '4', '2026-01-06 16:00:01', '2026-01-06 19:00:01'],
    ]);
    expect(listCells(report, 'handshakes', 3)).toEqual([['203.0.113.9', 'CERT_REVOKED', '3']]);
    expect(findSection(report, 'denied').note).toBe(
      'Another 30 exceeded the limit of records per minute and have no record of their own.',
    );
    expect(findSection(report, 'handshakes').note).toBe(
      'Another 17 exceeded the limit of records per minute and have no record of their own.',
    );
  });

  it('shows changes, risks, readers and models', async () => {
    const report = await buildSampleReport();
    expect(listCells(report, 'changes', 4)).toEqual([
      ['2026-01-07 12:00:01', 'policy.reload', 'success', 'Passkey Manager'],
      ['2026-01-07 13:00:01', 'trust.reload', 'failure', 'Passkey Manager'],
      ['2026-01-07 14:00:01', 'relying-party.create', 'success', 'spiffe://bank.example/operator'],
      ['2026-01-07 15:00:01', 'audit.rekey', 'success', 'Passkey Manager'],
      ['2026-01-07 15:30:01', 'audit.restore', 'success', 'Passkey Manager'],
      ['2026-01-07 16:00:01', 'approval.request', 'success', 'spiffe://bank.example/operator'],
      ['2026-01-07 17:00:01', 'approval.approve', 'success', 'spiffe://bank.example/second'],
      ['2026-01-07 18:12:01', 'signal-stream.create', 'success', 'spiffe://bank.example/operator'],
      ['2026-01-07 19:00:01', 'relying-party.seal', 'success', 'Passkey Manager'],
      ['2026-01-07 20:30:01', 'relying-party.end', 'success', 'Passkey Manager'],
      ['2026-01-07 21:00:01', 'seal-key.add', 'success', 'Passkey Manager'],
      ['2026-01-07 21:12:01', 'seal-key.rotate', 'success', 'Passkey Manager'],
      ['2026-01-07 21:24:01', 'seal-key.end-old-seals', 'success', 'Passkey Manager'],
      ['2026-01-07 21:36:01', 'seal-key.force-retire', 'success', 'Passkey Manager'],
      ['2026-01-07 21:48:01', 'seal-key.retire', 'success', 'Passkey Manager'],
      ['2026-01-07 21:54:01', 'credential.export', 'success', 'spiffe://bank.example/operator'],
      ['2026-01-07 21:57:01', 'credential.export', 'success', 'spiffe://bank.example/operator'],
      ['2026-01-07 21:58:49', 'user.revoke', 'success', 'spiffe://bank.example/operator'],
    ]);
    expect(findSection(report, 'signs').rows.map(([, type]) => type)).toEqual([
      'credential.tampered',
      'reconciliation.finding',
      'approval.tampered',
      'signal-stream.drop',
      'relying-party.tampered',
      'risk.signal',
      'audit.failure',
      'audit.recovery',
    ]);
    expect(listCells(report, 'readers', 3)).toEqual([
      ['spiffe://bank.example/auditor', '2', '0'],
      ['spiffe://bank.example/siem', '0', '1'],
    ]);
    expect(findSection(report, 'models').rows).toEqual([
      ['Windows Hello', WINDOWS_HELLO, '5', '0', '1'],
      ['unknown model', '11111111-2222-3333-4444-555555555555', '1', '0', '0'],
    ]);
  });

  it('lists what an auditor should look at, the gravest first', async () => {
    const { remarks } = await buildSampleReport();
    expect(remarks.map(({ level, text }) => `${level} ${text}`)).toEqual([
      'act Passkey records that fail their integrity check: 1',
      'act Relying parties that fail their integrity check: 1',
      'act Requests for approval that fail their integrity check: 1',
      'act Rows that contradict the log: 1',
      'act Failures of the audit log: 1',
      'act Drops of signals before their receiver got them: 1',
      'look Risk signals: 1',
      'look trust.reload refused; the old version stays active: 1',
      'look confirmation.verify refused as transaction-mismatch: 1',
      'look credential.verify refused as sign-count-regressed: 1',
      'look payment.verify refused as browser-key-denied: 1',
      'look payment.verify refused as payment-mismatch: 1',
      'look Calls denied: 34',
      'look Handshakes refused: 20',
      'look Share of authentications that were refused: 10.5 %',
      'note Confirm that each policy.reload was intended: 1',
      'note Confirm that each relying-party.create was intended: 1',
      'note Confirm that each relying-party.seal was intended: 1',
      'note Confirm that each relying-party.end was intended: 1',
      'note Confirm that each approval.approve was intended: 1',
      'note Confirm that each user.revoke was intended: 1',
      'note Confirm that each signal-stream.create was intended: 1',
      'note Confirm that each audit.rekey was intended: 1',
      'note Confirm that each audit.restore was intended: 1',
      'note Confirm that each seal-key.add was intended: 1',
      'note Confirm that each seal-key.rotate was intended: 1',
      'note Confirm that each seal-key.retire was intended: 1',
      'note Confirm that each seal-key.force-retire was intended: 1',
      'note Confirm that each seal-key.end-old-seals was intended: 1',
      'note Confirm that each export of all passkeys was intended: 1',
      'note Passkeys that were imported: confirm that each import was intended: 1',
    ]);
  });

  it('covers only the requested time', async () => {
    const report = await buildSampleReport({ from: WEEK_START + DAY_MS, to: WEEK_START + 2 * DAY_MS });
    expect(report.period).toBe(
      '2026-01-06 00:00:00 UTC to 2026-01-07 00:00:00 UTC; 901 other events of the export are not in this report',
    );
    expect(report.figures[0]?.value).toBe('160');
    expect(listCells(report, 'authentications', 1)).toEqual([['2026-01-06']]);
    const never = await buildSampleReport({ from: 0, to: 1 });
    expect([never.period, findSection(never, 'activity').rows]).toEqual(['No events in the requested period', []]);
  });

  it('says whether the export was proved, and refuses one that does not verify', async () => {
    expect((await buildSampleReport()).proof).toMatchObject({ holds: true, text: expect.stringMatching(/^Verified/) });
    const review = new Review(ALWAYS);
    await expect(reviewExport(splitIntoChunks(lines.toSpliced(5, 1).join('')), review, KEYS)).rejects.toThrow(
      /^line 6: /,
    );
    expect(await reviewExport(splitIntoChunks(), new Review(ALWAYS))).toBeUndefined();
  });
});

describe('the page of a report', () => {
  it('contains no hostile markup, and loads nothing from elsewhere', async () => {
    const html = renderHtml(await buildSampleReport());
    // eslint-disable-next-line no-control-regex
    expect(html).not.toMatch(/<script|<img|onerror=alert\(2\)>|\u001b|\u202e/);
    expect(html).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;');
    expect(html.match(/(?:src|href)="(?!#)[^"]*"|url\(|@import|https?:/g)).toBeNull();
    expect(html).toContain(`default-src 'none'`);
  });

  it('is well-formed: every element that opens also closes', async () => {
    const html = renderHtml(await buildSampleReport()).replace(/<style>[^]*<\/style>/, '');
    const open: string[] = [];
    for (const [tag, closing, name = '', rest = ''] of html.matchAll(
      /<(\/?)([a-z0-9]+)((?:\s+[\w:-]+="[^"]*")*\s*\/?)>/gi,
    )) {
      if (closing) expect([tag, open.pop()]).toEqual([tag, name]);
      else if (!rest.endsWith('/') && !['meta'].includes(name)) open.push(name);
    }
    expect(open).toEqual([]);
    expect(html.match(/<(?!\/?[a-z]|!doctype)/g)).toBeNull();
  });

  it('plots figures that are easier to see than to read, and also says them in words', async () => {
    const html = renderHtml(await buildSampleReport());
    expect(html.match(/<svg [^>]*role="img" aria-labelledby="[\w-]+"/g)).toHaveLength(3);
    expect(html).toContain('Authentications per 3 hours: 452 accepted, 53 refused');
    for (const [, id] of html.matchAll(/aria-labelledby="([\w-]+)"/g)) expect(html).toContain(`id="${id!}"`);
  });

  it('says prominently what was not proved', async () => {
    const review = new Review(ALWAYS);
    await reviewExport(splitIntoChunks(), review);
    const report = buildReport(review, { file: '-', proved: undefined, modelName });
    for (const shown of [renderHtml(report), renderText(report)]) expect(shown).toContain('NOT VERIFIED');
  });

  it('is written even for an export without events', async () => {
    const log = new SampleLog(3);
    const review = new Review({ from: 0, to: 1 });
    const proved = await reviewExport(
      splitIntoChunks((await log.export(0, 3, await log.makeCheckpoint(3), 3)).join('')),
      review,
      KEYS,
    );
    const report = buildReport(review, { file: '-', proved, modelName });
    expect(renderHtml(report)).not.toContain('<svg');
    expect(renderText(report)).toContain('Nobody read it.');
  });
});

describe('the text of a report', () => {
  it('contains no control character and no change of direction', async () => {
    const text = renderText(await buildSampleReport());
    // eslint-disable-next-line no-control-regex
    expect(text.match(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/g)).toBeNull();
    expect(text).toContain(HOSTILE.slice(0, 30));
    expect(text).toMatch(/^ {2}credential\.verify +sign-count-regressed +1 {2}2026-01-06 10:00:0\d/m);
  });
});
