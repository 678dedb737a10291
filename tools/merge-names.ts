import { isText } from '../src/http/validators.js';

const AAGUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The maximum length of a credential's name. */
const MAX_CHARACTERS = 64;

type Names = Readonly<Record<string, string>>;

export interface MergedNames {
  /** The names by AAGUID, in order. */
  readonly names: Names;
  /** One line for each added, renamed or skipped entry of the list. */
  readonly changes: readonly string[];
}

/**
 * Adds the names of a list to the table. It skips a bad entry, because no name decides anything, and never removes a model.
 *
 * @param list AAGUIDs, each with an object that has a `name`
 * @throws Error when it is not such a list, or has no names: its owner announces that it will be empty one day
 */
export function mergeNames(table: Names, list: unknown): MergedNames {
  if (typeof list !== 'object' || list === null || Array.isArray(list))
    throw new Error('the list is not a JSON object');
  const entries = Object.entries(list).map(([key, entry]) => [key.toLowerCase(), nameIn(entry)] as const);
  const named = entries.flatMap(([aaguid, name]) =>
    AAGUID.test(aaguid) && name !== undefined ? [[aaguid, name] as const] : [],
  );
  if (named.length === 0) throw new Error('the list holds no names');
  const skipped = entries.filter(([aaguid, name]) => !AAGUID.test(aaguid) || name === undefined);
  const merged = Object.entries({ ...table, ...Object.fromEntries(named) });
  return {
    names: Object.fromEntries(merged.sort(([one], [other]) => (one < other ? -1 : 1))),
    changes: [
      ...named.filter(([aaguid]) => !Object.hasOwn(table, aaguid)).map(([aaguid, name]) => `added ${aaguid}: ${name}`),
      ...named
        .filter(([aaguid, name]) => Object.hasOwn(table, aaguid) && table[aaguid] !== name)
        .map(([aaguid, name]) => `renamed ${aaguid}: ${String(table[aaguid])} to ${name}`),
      ...skipped.map(([aaguid]) => `skipped ${JSON.stringify(aaguid.slice(0, 64))}: it is not an AAGUID with a name`),
    ],
  };
}

function nameIn(entry: unknown): string | undefined {
  const name: unknown = (entry as { name?: unknown } | null)?.name;
  return isText(name, 1, MAX_CHARACTERS) ? name : undefined;
}
