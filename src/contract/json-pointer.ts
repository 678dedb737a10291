const MAX_NAME = 256;

/** The RFC 6901 pointer of a member of the object at `parent`; of a name that is too long, its beginning. */
export function pointerOf(parent: string, name: string): string {
  return `${parent}/${name.slice(0, MAX_NAME).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
