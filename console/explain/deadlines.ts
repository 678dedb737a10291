import { pickSamples, type Sample } from './metrics.js';

/** A moment that an operator must not miss, or the last time at which something happened. */
export interface Deadline {
  readonly name: string;
  /** What happens then. */
  readonly means: string;
  readonly at: Date;
  readonly urgency: 'later' | 'soon' | 'now' | 'past';
  /** The heading of docs/runbook.md, as an anchor. */
  readonly runbook: string;
}

interface Watched {
  readonly metric: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly name: string;
  readonly means: string;
  readonly runbook: string;
  /** Seconds before the moment from which on it is urgent: those of deploy/monitoring/alerts.yml. */
  readonly soon: number;
  readonly now: number;
}

const HOUR = 3_600;
const DAY = 24 * HOUR;
const EXPIRY = 'passkey_certificate_expiry_timestamp_seconds';
const CERTIFICATE = { runbook: 'a-certificate-is-about-to-expire', soon: 14 * DAY, now: DAY };

export const WATCHED: readonly Watched[] = [
  {
    ...{ metric: EXPIRY, labels: { file: 'certificate' }, ...CERTIFICATE },
    name: 'Certificate of the service',
    means: 'No caller can connect after it.',
  },
  {
    ...{ metric: EXPIRY, labels: { file: 'ca' }, ...CERTIFICATE },
    name: 'Authority of the callers (the first to end)',
    means: 'Callers with a certificate of this authority are refused after it.',
  },
  {
    ...{ metric: EXPIRY, labels: { file: 'crl' }, runbook: 'the-crl-is-about-to-expire', soon: 3 * DAY, now: 6 * HOUR },
    name: 'Revocation list (the first to end)',
    means: 'Every caller of its authority is refused after it.',
  },
  {
    metric: 'passkey_metadata_next_update_timestamp_seconds',
    ...{ labels: {}, runbook: 'fido-metadata-is-stale', soon: -DAY, now: -DAY },
    name: 'FIDO metadata: the next is due',
    means: 'The service goes on, but does not learn of models that were compromised since.',
  },
  {
    metric: 'passkey_spent_challenge_periods_end_timestamp_seconds',
    ...{ labels: {}, runbook: 'periods-of-spent-challenges-are-missing', soon: 3 * DAY, now: 3 * DAY },
    name: 'Periods of spent challenges',
    means:
      'The service keeps each challenge that was used, by periods of six hours, so that it counts once. After the last period no answer can be accepted.',
  },
];

/** Lists what ends and when, the first one first. What the service has not is not listed. */
export function listDeadlines(samples: readonly Sample[], now: Date): Deadline[] {
  return WATCHED.flatMap(({ metric, labels, name, means, runbook, ...thresholds }) => {
    const found = pickSamples(samples, metric).filter((sample) =>
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
    // Several replicas or workers may tell; the first to end counts.
    const first = Math.min(...found.map(({ value }) => value));
    if (!Number.isFinite(first) || first === 0) return [];
    const urgency = rateUrgency(first - now.getTime() / 1_000, thresholds);
    return [{ name, means, runbook, at: new Date(first * 1_000), urgency } as const];
  }).toSorted((one, other) => one.at.getTime() - other.at.getTime());
}

function rateUrgency(left: number, { soon, now }: Pick<Watched, 'soon' | 'now'>): Deadline['urgency'] {
  if (left >= soon) return 'later';
  if (left < 0) return 'past';
  return left < now ? 'now' : 'soon';
}
