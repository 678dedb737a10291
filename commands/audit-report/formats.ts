export const formatCount = (count: number): string => count.toLocaleString('en');

export const formatRate = (part: number, of: number): string =>
  of === 0 ? '0 %' : `${((100 * part) / of).toFixed(1)} %`;

/** A time in UTC to the second; empty when it is not finite. */
export function formatTime(time: number): string {
  return Number.isFinite(time)
    ? new Date(time)
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, ' UTC')
    : '';
}

/** The same without `UTC`, which the column's title says. */
export const formatSecond = (time: number): string => formatTime(time).slice(0, 19);

/** A date in UTC to the minute. */
export const formatMinute = (date: Date): string => date.toISOString().slice(0, 16).replace('T', ' ');

const MAX_LENGTH = 300;
/** Control characters, which a terminal obeys, and characters that are invisible or change the direction of writing. */
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

/** Shortens a text of the log and replaces every character that a reader would not see. */
export function makeVisible(text: string): string {
  const short = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text;
  return short.replace(UNSEEN, '\ufffd');
}
