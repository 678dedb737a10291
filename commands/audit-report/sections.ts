import { type Hours } from './hourly-counts.js';
import { changeText } from './change-text.js';
import type { LoggedEvent } from './logged-event.js';
import type { Section } from './report.js';
import type { Listed, Review, Sightings } from './review.js';
import type { Counted, Tally } from './tally.js';
import { minute, rate, second, whole } from './formats.js';

const text = (title: string): { title: string } => ({ title });
const number = (title: string): { title: string; numeric: true } => ({ title, numeric: true });
const MAX_ROWS = 50;
const MAX_BARS = 12;
const MAX_BUCKETS = 96;
const BUSIEST = 5;

/** Lists the sections in the order of the report. */
export function sectionsOf(review: Review, modelName: (aaguid: string) => string | undefined): Section[] {
  return [
    activity(review),
    authentications(review),
    refusals(review),
    {
      ...sighted('denied', 'Denied callers', review.denied, ['Caller', 'Reason'], 'No call was denied.'),
      ...unrecorded(review.unrecordedDenials),
    },
    {
      ...sighted('handshakes', 'Handshakes refused', review.handshakes, ['Address', 'Reason'], 'No handshake was refused.'),
      ...unrecorded(review.unrecordedHandshakes),
    },
    listed('changes', 'Changes', review.changes, 'Policy, trust material, metadata, relying parties and the service itself.'),
    listed('signs', 'Risk signals and failures', review.signs),
    readers(review),
    models(review, modelName),
    types(review),
  ];
} // prettier-ignore

function unrecorded(count: number): Pick<Section, 'note'> {
  return count > 0
    ? { note: `Another ${whole(count)} exceeded the limit of records per minute and have no record of their own.` }
    : {};
}

function activity({ hours }: Review): Section {
  const series = hours.series(MAX_BUCKETS);
  return {
    ...{ id: 'activity', title: 'Busiest hours', columns: [text('Hour (UTC)'), number('Events'), number('Accepted'), number('Refused')] },
    rows: hours.busiest(BUSIEST).map(({ start, events, accepted, refused }) => [minute(start), whole(events), whole(accepted), whole(refused)]),
    empty: 'Nothing happened.',
    plot: { kind: 'columns', title: 'Events', series, of: [{ name: 'Events', count: 'events' }] },
  };
} // prettier-ignore

function authentications({ hours }: Review): Section {
  const series = hours.series(MAX_BUCKETS);
  const days = days24(hours).filter(({ accepted, refused }) => accepted + refused > 0);
  return {
    ...{ id: 'authentications', title: 'Authentications by day', columns: [text('Day (UTC)'), number('Accepted'), number('Refused'), number('Share refused')] },
    rows: days.slice(-MAX_ROWS).map(({ start, accepted, refused }) => [start.toISOString().slice(0, 10), whole(accepted), whole(refused), rate(refused, accepted + refused)]),
    empty: 'There were none.',
    plot: { kind: 'columns', title: 'Authentications', series, of: [{ name: 'Accepted', count: 'accepted' }, { name: 'Refused', count: 'refused' }] },
  };
} // prettier-ignore

function days24(hours: Hours): readonly { start: Date; accepted: number; refused: number }[] {
  const days = new Map<string, { start: Date; accepted: number; refused: number }>();
  for (const { start, accepted, refused } of [...hours.busiest(Infinity)].sort((a, b) => a.start.getTime() - b.start.getTime())) {
    const day = start.toISOString().slice(0, 10);
    const counts = days.get(day) ?? { start, accepted: 0, refused: 0 };
    days.set(day, { start: counts.start, accepted: counts.accepted + accepted, refused: counts.refused + refused });
  }
  return [...days.values()];
} // prettier-ignore

function refusals(review: Review): Section {
  const section = sighted('refusals', 'Refusals by reason', review.refusals, ['Event', 'Reason'], 'Nothing was refused.');
  const bars = review.refusals.ranked(({ count }) => count).slice(0, MAX_BARS);
  const labelled = bars.map(({ key, value: { count } }) => ({ label: `${key[1] || '(none)'} · ${key[0] ?? ''}`, count }));
  return { ...section, plot: { kind: 'bars', title: 'Refusals by reason', bars: labelled } };
} // prettier-ignore

function sighted(id: string, title: string, tally: Tally<Sightings>, words: readonly string[], empty: string): Section {
  const rows = tally.ranked(({ count }) => count);
  return {
    ...{ id, title, empty, columns: [...words.map(text), number('Count'), text('First (UTC)'), text('Last (UTC)')] },
    ...moreThan(rows, MAX_ROWS),
    rows: rows.slice(0, MAX_ROWS).map(({ key, value: { count, first, last } }) => [...key, whole(count), second(first), second(last)]),
  };
} // prettier-ignore

function listed(id: string, title: string, list: Listed, note?: string): Section {
  const more = list.count > list.newest.length ? `The last ${whole(list.newest.length)} of ${whole(list.count)}.` : '';
  const whom = ({ caller, address }: LoggedEvent): string => caller || address;
  return {
    ...{ id, title, empty: 'There were none.', columns: [text('Time (UTC)'), text('Event'), text('Outcome'), text('By'), text('What')] },
    ...((note ?? more) && { note: [note, more].filter(Boolean).join(' ') }),
    rows: list.newest.map((event) => [second(event.time), event.type, event.success ? 'success' : 'failure', whom(event), changeText(event)]),
  };
} // prettier-ignore

function readers({ readers: tally }: Review): Section {
  const rows = tally.ranked(({ reads, exports }) => reads + exports);
  return {
    ...{ id: 'readers', title: 'Readers of the audit log', empty: 'Nobody read it.', columns: [text('Caller'), number('Reads'), number('Exports'), text('Last (UTC)')] },
    ...moreThan(rows, MAX_ROWS),
    rows: rows.slice(0, MAX_ROWS).map(({ key, value: { reads, exports, last } }) => [key[0] ?? '', whole(reads), whole(exports), second(last)]),
  };
} // prettier-ignore

function models({ models: tally }: Review, modelName: (aaguid: string) => string | undefined): Section {
  const rows = tally.ranked(({ registered, revoked }) => registered + revoked);
  const nameOf = (aaguid: string): string => modelName(aaguid) ?? (aaguid === '' ? 'not reported' : 'unknown model');
  return {
    ...{ id: 'models', title: 'Passkeys by authenticator model', empty: 'None was registered or revoked.' },
    columns: [text('Model'), text('AAGUID'), number('Registered'), number('Suspended'), number('Revoked')],
    ...moreThan(rows, MAX_ROWS),
    rows: rows.slice(0, MAX_ROWS).map(({ key: [aaguid = ''], value }) => [nameOf(aaguid), aaguid, whole(value.registered), whole(value.suspended), whole(value.revoked)]),
  };
} // prettier-ignore

function types({ types: tally }: Review): Section {
  const rows = tally.ranked(({ success, failure }) => success + failure);
  return {
    ...{ id: 'types', title: 'All events', empty: 'There were none.', columns: [text('Class'), text('Event'), number('Success'), number('Failure')] },
    rows: rows.map(({ key: [className = '', type = ''], value: { success, failure } }) => [className, type, whole(success), whole(failure)]),
  };
} // prettier-ignore

const moreThan = (rows: readonly Counted<unknown>[], max: number): { note?: string } =>
  rows.length > max ? { note: `The first ${whole(max)} of ${whole(rows.length)}.` } : {};
