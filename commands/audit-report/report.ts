import type { ProvedExport } from '../../src/tlog/export-verifier.js';
import { listRemarks, type Remark } from './remarks.js';
import type { Series } from './tally.js';
import type { Outcomes, Review } from './review.js';
import { listSections } from './sections.js';
import { formatCount, formatRate, formatTime } from './formats.js';

export interface Column {
  readonly title: string;
  readonly numeric?: boolean;
}

/** A table with all data, and perhaps a plot of the same data. */
export interface Section {
  readonly id: string;
  readonly title: string;
  /** One sentence; absent when the title says enough. */
  readonly note?: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
  /** The text when there are no rows. */
  readonly empty: string;
  readonly plot?: Plot | undefined;
}

export type Plot =
  | { readonly kind: 'columns'; readonly title: string; readonly series: Series; readonly of: readonly PlottedCount[] }
  | { readonly kind: 'bars'; readonly title: string; readonly bars: readonly { label: string; count: number }[] };

export interface PlottedCount {
  readonly name: string;
  readonly count: 'events' | 'accepted' | 'refused';
}

/**
 * The content of a report for a terminal or a page. Its texts are raw: the code that shows them must make them
 * harmless.
 */
export interface Report {
  readonly title: string;
  readonly file: string;
  /** The result of the verification and the facts that it proves. */
  readonly proof: {
    readonly holds: boolean;
    readonly text: string;
    readonly facts: readonly (readonly [string, string])[];
  };
  readonly period: string;
  readonly figures: readonly { readonly name: string; readonly value: string; readonly more?: string }[];
  readonly remarks: readonly Remark[];
  readonly sections: readonly Section[];
}

export interface ReportSources {
  readonly file: string;
  readonly proved: ProvedExport | undefined;
  readonly modelName: (aaguid: string) => string | undefined;
}

export function buildReport(review: Review, sources: ReportSources): Report {
  const { file, proved } = sources;
  return {
    title: `Audit log review${proved ? `: ${proved.checkpoint.origin}` : ''}`,
    file,
    proof: summarizeProof(proved),
    period: formatPeriod(review),
    figures: listFigures(review),
    remarks: listRemarks(review, proved),
    sections: listSections(review, sources.modelName),
  };
}

function summarizeProof(proved: ProvedExport | undefined): Report['proof'] {
  if (!proved) {
    const text =
      'NOT VERIFIED: no key was given. Nothing proves that these are the events of the log, or that none is missing.';
    return { holds: false, text, facts: [] };
  }
  const { from, to, events, erased, checkpoint, since, anchored } = proved;
  const facts: [string, string][] = [
    [
      'Leaves',
      `[${String(from)}, ${String(to)}) of ${String(checkpoint.size)}: ${formatCount(events)} events, ${formatCount(erased)} erased`,
    ],
    ['Root', checkpoint.root.toString('base64')],
    [
      'Signed',
      `${checkpoint.time ? `${formatTime(checkpoint.time.getTime())}, ` : ''}by ${checkpoint.keys.map(({ algorithm, keyId }) => `${algorithm} (${keyId})`).join(' and ')}`,
    ],
  ];
  if (since) facts.push(['Continues', `the checkpoint of ${formatCount(since.size)} leaves`]);
  if (anchored) {
    const { held, outside, newer } = anchored;
    facts.push([
      'Anchored',
      `${formatCount(held)} checkpoints match, ${formatCount(outside)} are outside the range, ${formatCount(newer)} are newer, not covered by this export`,
    ]);
  }
  return { holds: true, text: 'Verified: every event is as it was logged, and none of the range is missing.', facts };
}

function formatPeriod({ span, period, events, outside }: Review): string {
  if (events === 0) return `No events${outside > 0 ? ' in the requested period' : ''}`;
  const from = Number.isFinite(period.from) ? period.from : span.first;
  const to = Number.isFinite(period.to) ? period.to : span.last;
  const others = outside > 0 ? `; ${formatCount(outside)} other events of the export are not in this report` : '';
  return `${formatTime(from)} to ${formatTime(to)}${others}`;
}

function listFigures(review: Review): Report['figures'] {
  const registered = review.getOutcomes('Account Change', 'credential.register');
  const revoked = review.getOutcomes('Account Change', 'credential.revoke');
  const denied = review.denied.rank(() => 0).reduce((sum, { value }) => sum + value.count, review.unrecordedDenials);
  return [
    { name: 'Events', value: formatCount(review.events) },
    buildCeremonyFigure('Authentications', review.getOutcomes('Authentication', 'credential.verify')),
    buildCeremonyFigure('Confirmations', review.getOutcomes('Authentication', 'confirmation.verify')),
    buildCeremonyFigure('Payments', review.getOutcomes('Authentication', 'payment.verify')),
    {
      name: 'Passkeys registered',
      value: formatCount(registered.success),
      more: `${formatCount(registered.failure)} refused`,
    },
    { name: 'Passkeys revoked', value: formatCount(revoked.success) },
    { name: 'Calls denied', value: formatCount(denied) },
  ];
}

function buildCeremonyFigure(name: string, { success, failure }: Outcomes): Report['figures'][number] {
  const share = formatRate(failure, success + failure);
  return { name, value: formatCount(success), more: `${formatCount(failure)} refused (${share})` };
}
