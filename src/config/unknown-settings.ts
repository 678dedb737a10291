/** The beginning of the names of all settings but DATABASE_URL and NODE_ENV. */
const PREFIX = 'PASSKEY_';

/** What Kubernetes adds to the name of a Service for each variable by which it tells every pod of the Service. */
const SERVICE_LINK =
  /^[A-Z0-9_]+?_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)$/;

/** What `passkey-manager` takes, the command line for operators (docs/command-line.md). */
const OF_COMMAND_LINE = /^PASSKEY_MANAGER_(?:URL|CERT|CERT_KEY|CA|OUTPUT|AS)$/;

/** Tells if Kubernetes made this variable, as for a Service named passkey-manager. */
export function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && /^(?:tcp|udp|sctp):\/\//.test(value));
}

/**
 * Describes each variable that begins as a setting does and is none. The service starts all the same: a replica of the version
 * before may meet the settings of the next one.
 *
 * @param names every setting
 */
export function describeUnknownSettings(env: NodeJS.ProcessEnv, names: readonly string[]): readonly string[] {
  return Object.entries(env)
    .filter(([name, value = '']) => name.startsWith(PREFIX) && !names.includes(name) && !isServiceLink(name, value))
    .filter(([name]) => !OF_COMMAND_LINE.test(name))
    .map(([name]) => {
      const meant = findClosest(name, names);
      return `${name} is not a setting of this version${meant === undefined ? '' : `; did you mean ${meant}?`}`;
    });
}

/** @returns the setting that is a few letters away, or has the same words and more; undefined if none is */
function findClosest(name: string, names: readonly string[]): string | undefined {
  const few = Math.ceil((name.length - PREFIX.length) / 4);
  const [closest] = names
    .filter((known) => known.startsWith(PREFIX))
    .map((known) => ({ known, distance: computeDistance(name, known) }))
    .filter(({ known, distance }) => distance <= few || hasWords(known, name.split('_')))
    .sort((a, b) => a.distance - b.distance);
  return closest?.known;
}

function hasWords(name: string, words: readonly string[]): boolean {
  const own = name.split('_');
  return words.every((word) => own.includes(word));
}

/** Computes Levenshtein's distance: how many letters must be added, removed or replaced. */
function computeDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row.at(-1)!;
}
