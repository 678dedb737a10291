import { UsageError } from '../command-line.js';

/** What the help says of every time. */
export const TIME_FORMS = 'A day stands for its midnight in UTC.';

/**
 * Reads a day, or a time of RFC 3339. Whether there is such a time, the service says.
 *
 * @param more what else may be given
 * @throws UsageError with an example
 */
export function readTime(name: string, value: string | undefined, more = ''): string | undefined {
  if (value === undefined) return undefined;
  if (/^\d{4}-\d\d-\d\d$/.test(value)) return `${value}T00:00:00Z`;
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i.test(value)) return value;
  throw new UsageError(`${name} must be a day, such as 2026-03-01, or a time, such as 2026-03-01T08:00:00Z${more}.`);
}
