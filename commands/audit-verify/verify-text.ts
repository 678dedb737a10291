import { statSync } from 'node:fs';
import type { ProvedEvent } from '../../src/tlog/proof-documents.js';
import type { SignedCheckpoint } from '../../src/tlog/checkpoint.js';
import type { ProvedExport } from '../../src/tlog/export-verifier.js';

const REFRESH_MS = 200;
const BAR_WIDTH = 24;
const MEGABYTE = 1e6;

/** Shows a progress bar on standard error if it is a terminal. */
export function makeProgressBar(path: string): (bytes: number, lines: number) => void {
  const total = path === '-' ? undefined : statSync(path).size;
  const start = performance.now();
  let shown = start;
  return (bytes, lines) => {
    const now = performance.now();
    if (!process.stderr.isTTY || now - shown < REFRESH_MS) return;
    shown = now;
    const seconds = (now - start) / 1000;
    const rate = `${Math.round(lines / seconds).toLocaleString('en')} lines/s`;
    process.stderr.write(`\r\x1b[K${formatBar(bytes, total, seconds)}, ${rate}`);
  };
}

function formatBar(bytes: number, total: number | undefined, seconds: number): string {
  const read = (bytes / MEGABYTE).toFixed(0);
  if (total === undefined) return `${read} MB`;
  const done = Math.min(1, bytes / total);
  const bar = '#'.repeat(Math.round(done * BAR_WIDTH)).padEnd(BAR_WIDTH, '.');
  const left = Math.ceil((seconds * (1 - done)) / done);
  return `[${bar}] ${read} of ${(total / MEGABYTE).toFixed(0)} MB, ${String(left)} s left`;
}

export function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

export function formatExport({ from, to, events, erased, checkpoint, span, since, anchored }: ProvedExport): string {
  const { origin, size, root } = checkpoint;
  const whole = from === 0 && to === size ? 'the whole log' : `of ${String(size)}`;
  const rows: [string, string | undefined][] = [
    ['log', origin],
    ['range', `leaves [${String(from)}, ${String(to)}), ${whole}: ${String(events)} events, ${String(erased)} erased`],
    ['events', span ? `from ${span[0].toISOString()} to ${span[1].toISOString()}` : 'none'],
    ['tree', `${String(size)} leaves, root ${root.toString('base64')}`],
    ['signed', formatSignatures(checkpoint)],
    ['since', since ? `continues the checkpoint of ${String(since.size)} leaves` : undefined],
    ['anchored', anchored && formatAnchored(anchored)],
  ];
  return formatTable(rows);
}

export function formatProvedEvent({ leafIndex, id, type, time, checkpoint }: ProvedEvent): string {
  const { origin, size, root } = checkpoint;
  return formatTable([
    ['log', origin],
    ['event', `${id}, ${type}, of ${time}`],
    ['place', `leaf ${String(leafIndex)} of ${String(size)}`],
    ['tree', `root ${root.toString('base64')}`],
    ['signed', formatSignatures(checkpoint)],
  ]);
}

function formatSignatures({ time, keys }: SignedCheckpoint): string {
  const signatures = keys.map(({ name, keyId, algorithm }) => `${algorithm} (${name}+${keyId})`).join(' and ');
  return `${time ? `${time.toISOString()}, ` : ''}by ${signatures}`;
}

function formatTable(rows: readonly (readonly [string, string | undefined])[]): string {
  const shown = rows.filter(([, text]) => text !== undefined);
  return shown.map(([name, text]) => `  ${name.padEnd(9)}${text!}\n`).join('');
}

function formatAnchored({ held, outside, newer }: NonNullable<ProvedExport['anchored']>): string {
  return `${String(held)} checkpoints hold, ${String(outside)} are outside the range, ${String(newer)} are newer`;
}
