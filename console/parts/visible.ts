/*
 * Ids, names and reasons come from outside. A character in them may be invisible, or turn the order of the words around it. So the
 * page shows such characters by their codes, and isolates what is written from right to left.
 */

/** Control and format characters, separators of lines, and whatever else has no shape. The style of an emoji stays. */
const UNSEEN = /(?![\ufe0e\ufe0f])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Default_Ignorable_Code_Point}]/gu;

/** What the scripts have that are written from right to left. */
const LETTER = '[\\u0590-\\u08ff\\ufb1d-\\ufdff\\ufe70-\\ufeff\\u{10800}-\\u{10fff}\\u{1e800}-\\u{1efff}]';
/** One or more of them; what stands between two belongs to the run. */
const RUN = new RegExp(`(${LETTER}(?:[^\\p{L}\\p{N}]*${LETTER})*)`, 'u');

/** Writes each character that a reader would not see by its code, as the command line does: `\u{202e}`. */
export function makeVisible(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** The same for a text with lines, such as JSON, which stays JSON. */
export function makeLinesVisible(text: string): string {
  return text.replace(UNSEEN, (character) =>
    // Line ends are the layout: JSON escapes those of its strings.
    character === '\n'
      ? character
      : Array.from({ length: character.length }, (_, at) => character.charCodeAt(at).toString(16).padStart(4, '0'))
          .map((unit) => `\\u${unit}`)
          .join(''),
  );
}

/** Splits a text into runs. Those with an odd index are written from right to left. */
export function splitByDirection(text: string): string[] {
  return text.split(RUN);
}

/** For an attribute, which can have no element around a run. */
export function isolateRuns(text: string): string {
  return splitByDirection(text)
    .map((run, at) => (at % 2 === 1 ? `\u2068${run}\u2069` : run))
    .join('');
}
