/**
 * Returns the smallest UUIDv7 of a time in milliseconds since 1970 (RFC 9562 §5.7). Ids begin with the time, so a range
 * of time is a range of ids.
 */
export function toFirstId(time: number): string {
  const hex = Math.max(0, time).toString(16).padStart(12, '0').slice(-12);
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Reads the time of a UUIDv7, in milliseconds since 1970. */
export function parseIdTime(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
