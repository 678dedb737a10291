import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { addRunbookPages } from './runbook-pages.js';

const DOWN = { status: 'down' } as const;
const UP = { status: 'up' } as const;
const HEADINGS = readFileSync('docs/runbook.md', 'utf8').match(/^#{2,3} .+$/gm)!;
const anchors = HEADINGS.map((heading) =>
  heading
    .replace(/^#+ /, '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-'),
);

function findPage(indicator: string, detail: { status: 'up' | 'down' }): unknown {
  return addRunbookPages({ [indicator]: detail })[indicator]!['runbook'];
}

describe('an indicator', () => {
  it.each([
    ['database', DOWN, 'the-database-is-away'],
    ['migrations', DOWN, 'a-new-version'],
    ['audit', { ...DOWN, failures: ['unreachable'] }, 'no-record-can-be-written'],
    ['audit', { ...DOWN, failures: [], standsStillSince: '2026-06-30T12:00:00.000Z' }, 'the-log-stands-still'],
    ['audit', { ...DOWN, failures: ['log-truncated'] }, 'a-log-that-is-not-continued'],
    ['audit', { ...DOWN, failures: ['log-altered'], standsStillSince: 'now' }, 'a-log-that-is-not-continued'],
    ['certificate', { ...DOWN, refused: 'a mistake' }, 'a-certificate-is-about-to-expire'],
    ['crl', { ...DOWN, ageing: true }, 'the-crl-is-about-to-expire'],
    ['listener', DOWN, 'callers-cannot-connect'],
    ['binding_key', { ...DOWN, missingKey: '3fa29b1c', failed: 2 }, 'a-binding-key-is-missing'],
    ['spent_challenges', DOWN, 'periods-of-spent-challenges-are-missing'],
  ])('%s with %p is sent to the page %s, which exists', (indicator, detail, page) => {
    expect(findPage(indicator, detail)).toBe(`docs/runbook.md#${page}`);
    expect(anchors).toContain(page);
  });

  it.each([
    ['audit', { ...UP, failures: ['anchor'] }, 'the-audit-log-fails'],
    ['audit', { ...UP, failures: [], forgotten: 'cannot be read' }, 'a-start-does-not-know-what-was-anchored'],
    ['certificate', { ...UP, refused: 'a mistake' }, 'a-reload-is-refused'],
    ['crl', { ...UP, ageing: true }, 'the-crl-is-about-to-expire'],
    ['access_policy', { ...UP, refused: 'a mistake' }, 'a-reload-is-refused'],
    ['attestation_roots', { ...UP, refused: 'a mistake' }, 'a-reload-is-refused'],
    ['metadata', { ...UP, stale: false, refused: 'a mistake' }, 'a-reload-is-refused'],
    ['metadata', { ...UP, stale: true, refused: undefined }, 'fido-metadata-is-stale'],
    ['log', { ...UP, lost: 3, failure: 'ENOSPC' }, 'log-lines-are-lost'],
    ['seals', { ...UP, oldAccepted: true }, 'old-seals-still-count'],
    ['binding_key', { ...UP, rows: 3, failed: 2 }, 'credentialtampered-is-recorded'],
    ['reconciliation', { ...UP, findings: { 'row-outdated': 2 } }, 'a-row-contradicts-the-log'],
    ['reconciliation', { ...UP, findings: {}, failure: 'permission denied' }, 'the-reconciliation-is-late'],
  ])('%s that is up with the fault %p is sent to the page %s, which exists', (indicator, detail, page) => {
    expect(findPage(indicator, detail)).toBe(`docs/runbook.md#${page}`);
    expect(anchors).toContain(page);
  });

  it.each([
    ['audit', { ...UP, failures: [], standsStillSince: undefined }],
    ['crl', { ...UP, ageing: false }],
    ['log', { ...UP, lost: 0, failure: undefined }],
    ['metadata', { ...UP, stale: false, refused: undefined }],
    ['reconciliation', { ...UP, findings: {}, failure: undefined }],
  ])('%s without a fault names no page', (indicator, detail) => {
    expect(addRunbookPages({ [indicator]: detail })).toEqual({ [indicator]: detail });
  });
});
