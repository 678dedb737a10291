import type { LoggedEvent } from './logged-event.js';
import type { Section } from './report.js';
import type { NewestEvents, Review, Sightings } from './review.js';
import type { Counted, HourlyCounts, Tally } from './tally.js';
import { formatMinute, formatRate, formatSecond, formatCount } from './formats.js';

const makeTextColumn = (title: string): { title: string } => ({ title });
const makeNumberColumn = (title: string): { title: string; numeric: true } => ({ title, numeric: true });
const MAX_ROWS = 50;
const MAX_BARS = 12;
const MAX_BUCKETS = 96;
const BUSIEST = 5;

/** Lists the sections in the order of the report. */
export function listSections(review: Review, modelName: (aaguid: string) => string | undefined): Section[] {
  return [
    buildActivity(review),
    buildAuthentications(review),
    buildRefusals(review),
    {
      ...buildSightings('denied', 'Denied callers', review.denied, ['Caller', 'Reason'], 'No call was denied.'),
      ...noteUnrecorded(review.unrecordedDenials),
    },
    {
      ...buildSightings(
        'handshakes',
        'Handshakes refused',
        review.handshakes,
        ['Address', 'Reason'],
        'No handshake was refused.',
      ),
      ...noteUnrecorded(review.unrecordedHandshakes),
    },
    buildEventList(
      'changes',
      'Changes',
      review.changes,
      'Policy, trust material, metadata, relying parties, keys of seals and the service itself.',
    ),
    buildEventList('signs', 'Risk signals and failures', review.signs),
    buildReaders(review),
    buildModels(review, modelName),
    buildTypes(review),
  ];
}

function noteUnrecorded(count: number): Pick<Section, 'note'> {
  return count > 0
    ? {
        note: `Another ${formatCount(count)} exceeded the limit of records per minute and have no record of their own.`,
      }
    : {};
}

function buildActivity({ hours }: Review): Section {
  const series = hours.toSeries(MAX_BUCKETS);
  return {
    id: 'activity',
    title: 'Busiest hours',
    columns: [
      makeTextColumn('Hour (UTC)'),
      makeNumberColumn('Events'),
      makeNumberColumn('Accepted'),
      makeNumberColumn('Refused'),
    ],
    rows: hours
      .listBusiest(BUSIEST)
      .map(({ start, events, accepted, refused }) => [
        formatMinute(start),
        formatCount(events),
        formatCount(accepted),
        formatCount(refused),
      ]),
    empty: 'Nothing happened.',
    plot: { kind: 'columns', title: 'Events', series, of: [{ name: 'Events', count: 'events' }] },
  };
}

function buildAuthentications({ hours }: Review): Section {
  const series = hours.toSeries(MAX_BUCKETS);
  const days = sumByDay(hours).filter(({ accepted, refused }) => accepted + refused > 0);
  return {
    id: 'authentications',
    title: 'Authentications by day',
    columns: [
      makeTextColumn('Day (UTC)'),
      makeNumberColumn('Accepted'),
      makeNumberColumn('Refused'),
      makeNumberColumn('Share refused'),
    ],
    rows: days
      .slice(-MAX_ROWS)
      .map(({ start, accepted, refused }) => [
        start.toISOString().slice(0, 10),
        formatCount(accepted),
        formatCount(refused),
        formatRate(refused, accepted + refused),
      ]),
    empty: 'There were none.',
    plot: {
      kind: 'columns',
      title: 'Authentications',
      series,
      of: [
        { name: 'Accepted', count: 'accepted' },
        { name: 'Refused', count: 'refused' },
      ],
    },
  };
}

function sumByDay(hours: HourlyCounts): readonly { start: Date; accepted: number; refused: number }[] {
  const days = new Map<string, { start: Date; accepted: number; refused: number }>();
  for (const { start, accepted, refused } of [...hours.listBusiest(Infinity)].sort(
    (a, b) => a.start.getTime() - b.start.getTime(),
  )) {
    const day = start.toISOString().slice(0, 10);
    const counts = days.get(day) ?? { start, accepted: 0, refused: 0 };
    days.set(day, { start: counts.start, accepted: counts.accepted + accepted, refused: counts.refused + refused });
  }
  return [...days.values()];
}

function buildRefusals(review: Review): Section {
  const section = buildSightings(
    'refusals',
    'Refusals by reason',
    review.refusals,
    ['Event', 'Reason'],
    'Nothing was refused.',
  );
  const bars = review.refusals.rank(({ count }) => count).slice(0, MAX_BARS);
  const labelled = bars.map(({ key, value: { count } }) => ({
    label: `${key[1] || '(none)'} · ${key[0] ?? ''}`,
    count,
  }));
  return { ...section, plot: { kind: 'bars', title: 'Refusals by reason', bars: labelled } };
}

function buildSightings(
  id: string,
  title: string,
  tally: Tally<Sightings>,
  words: readonly string[],
  empty: string,
): Section {
  const rows = tally.rank(({ count }) => count);
  return {
    id,
    title,
    empty,
    columns: [
      ...words.map(makeTextColumn),
      makeNumberColumn('Count'),
      makeTextColumn('First (UTC)'),
      makeTextColumn('Last (UTC)'),
    ],
    ...noteShortened(rows, MAX_ROWS),
    rows: rows
      .slice(0, MAX_ROWS)
      .map(({ key, value: { count, first, last } }) => [
        ...key,
        formatCount(count),
        formatSecond(first),
        formatSecond(last),
      ]),
  };
}

function buildEventList(id: string, title: string, list: NewestEvents, note?: string): Section {
  const more =
    list.count > list.newest.length ? `The last ${formatCount(list.newest.length)} of ${formatCount(list.count)}.` : '';
  const getOriginator = ({ caller, address }: LoggedEvent): string => caller || address;
  return {
    id,
    title,
    empty: 'There were none.',
    columns: [
      makeTextColumn('Time (UTC)'),
      makeTextColumn('Event'),
      makeTextColumn('Outcome'),
      makeTextColumn('By'),
      makeTextColumn('What'),
    ],
    ...((note ?? more) && { note: [note, more].filter(Boolean).join(' ') }),
    rows: list.newest.map((event) => [
      formatSecond(event.time),
      event.type,
      event.success ? 'success' : 'failure',
      getOriginator(event),
      describeChange(event),
    ]),
  };
}

function buildReaders({ readers: tally }: Review): Section {
  const rows = tally.rank(({ reads, exports }) => reads + exports);
  return {
    id: 'readers',
    title: 'Readers of the audit log',
    empty: 'Nobody read it.',
    columns: [
      makeTextColumn('Caller'),
      makeNumberColumn('Reads'),
      makeNumberColumn('Exports'),
      makeTextColumn('Last (UTC)'),
    ],
    ...noteShortened(rows, MAX_ROWS),
    rows: rows
      .slice(0, MAX_ROWS)
      .map(({ key, value: { reads, exports, last } }) => [
        key[0] ?? '',
        formatCount(reads),
        formatCount(exports),
        formatSecond(last),
      ]),
  };
}

function buildModels({ models: tally }: Review, modelName: (aaguid: string) => string | undefined): Section {
  const rows = tally.rank(({ registered, revoked }) => registered + revoked);
  const getModelName = (aaguid: string): string =>
    modelName(aaguid) ?? (aaguid === '' ? 'not reported' : 'unknown model');
  return {
    id: 'models',
    title: 'Passkeys by authenticator model',
    empty: 'None was registered or revoked.',
    columns: [
      makeTextColumn('Model'),
      makeTextColumn('AAGUID'),
      makeNumberColumn('Registered'),
      makeNumberColumn('Suspended'),
      makeNumberColumn('Revoked'),
    ],
    ...noteShortened(rows, MAX_ROWS),
    rows: rows
      .slice(0, MAX_ROWS)
      .map(({ key: [aaguid = ''], value }) => [
        getModelName(aaguid),
        aaguid,
        formatCount(value.registered),
        formatCount(value.suspended),
        formatCount(value.revoked),
      ]),
  };
}

function buildTypes({ types: tally }: Review): Section {
  const rows = tally.rank(({ success, failure }) => success + failure);
  return {
    id: 'types',
    title: 'All events',
    empty: 'There were none.',
    columns: [
      makeTextColumn('Class'),
      makeTextColumn('Event'),
      makeNumberColumn('Success'),
      makeNumberColumn('Failure'),
    ],
    rows: rows.map(({ key: [className = '', type = ''], value: { success, failure } }) => [
      className,
      type,
      formatCount(success),
      formatCount(failure),
    ]),
  };
}

const noteShortened = (rows: readonly Counted<unknown>[], max: number): { note?: string } =>
  rows.length > max ? { note: `The first ${formatCount(max)} of ${formatCount(rows.length)}.` } : {};

const MAX_FACTS = 6;
/** Facts that the report shows elsewhere or that are too long to read. */
const OMITTED: ReadonlySet<string> = new Set([
  ...['permission', 'epoch', 'policy', 'trust', 'previous_digest', 'credential'],
  'policy_digest',
]);

/** Describes an event in one line: its relying party, reason, detail and first few facts. */
function describeChange({ reason, detail, rpId, facts }: LoggedEvent): string {
  const told = Object.entries(facts).flatMap(([name, value]) => {
    if (OMITTED.has(name) || name === 'rp_id') return [];
    const shown = formatFact(value);
    return shown === '' ? [] : [`${name.replaceAll('_', ' ')} ${shown}`];
  });
  const more = told.length > MAX_FACTS ? ['…'] : [];
  return [rpId, [reason, detail].filter(Boolean).join(': '), ...told.slice(0, MAX_FACTS), ...more]
    .filter(Boolean)
    .join(' · ');
}

function formatFact(value: unknown): string {
  if (typeof value === 'string') return /^[0-9a-f]{40,}$/.test(value) ? `${value.slice(0, 12)}…` : value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.map(formatFact).filter(Boolean).join(', ');
  return '';
}
