import type { View } from './view.js';

export interface Place {
  readonly view: View;
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
}

/** Finds the view of an address. @param hash such as `#/events/0197…?outcome=failure` */
export function findPlace(hash: string, views: readonly View[]): Place | undefined {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const given = path.split('/').map(decodeSegment);
  for (const view of views) {
    const segments = view.path.split('/');
    if (segments.length !== given.length) continue;
    const parameters: Record<string, string> = {};
    const fits = segments.every((segment, index) => {
      const name = /^\{(\w+)\}$/.exec(segment)?.[1];
      if (name !== undefined) parameters[name] = given[index]!;
      return name === undefined ? segment === given[index] : given[index] !== '';
    });
    if (fits) return { view, parameters, query: new URLSearchParams(query) };
  }
  return undefined;
}

/** Writes an address. Members of the query that are empty are left out. */
export function linkTo(path: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const members = Object.entries(query).filter((member): member is [string, string] => Boolean(member[1]));
  const search = new URLSearchParams(members).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search && `?${search}`}`;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
