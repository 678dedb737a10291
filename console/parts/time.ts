import { html, type TemplateResult } from './html.js';

/** ISO 8601 in the reader's zone: 2026-11-30 23:49:19. The Swedish have it so. */
const LOCAL = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });

/** Shows a time in the reader's zone, with milliseconds if it has some; pointing at it shows UTC. */
export function renderTime(time: string | number | Date): TemplateResult {
  const date = new Date(time);
  if (Number.isNaN(date.getTime())) return html`<span>${String(time)}</span>`;
  const utc = date.toISOString();
  return html`<time datetime=${utc} title=${utc.replace('T', ' ').replace('Z', ' UTC')}>${formatTime(date)}</time>`;
}

export function formatTime(date: Date): string {
  const milliseconds = date.getMilliseconds();
  return `${LOCAL.format(date)}${milliseconds === 0 ? '' : `.${String(milliseconds).padStart(3, '0')}`}`;
}

/** The reader's zone, such as Europe/Berlin. */
export function nameZone(): string {
  return LOCAL.resolvedOptions().timeZone;
}

/** From the value of `<input type="datetime-local">`, which is in the reader's zone, to RFC 3339; empty for none. */
export function toUtc(local: string): string {
  const date = new Date(local);
  return local === '' || Number.isNaN(date.getTime()) ? '' : date.toISOString();
}

/** The opposite of `toUtc`. */
export function toLocal(utc: string | null): string {
  const date = new Date(utc ?? '');
  return Number.isNaN(date.getTime()) ? '' : LOCAL.format(date).replace(' ', 'T');
}

/** Says how long ago a time is, or how long until it, in one unit. */
export function describeDistance(from: Date, to: Date): string {
  const seconds = Math.round((to.getTime() - from.getTime()) / 1_000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? (['second', 1] as const);
  return new Intl.RelativeTimeFormat('en', { numeric: 'auto' }).format(Math.round(seconds / size), unit);
}

const UNITS = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;
