const MAX_NAME = 256;

/**
 * Builds the RFC 6901 pointer of a member of the object at `parent`. Only the beginning of a very long name is used.
 */
export function appendPointer(parent: string, name: string): string {
  return `${parent}/${name.slice(0, MAX_NAME).toWellFormed().replaceAll('~', '~0').replaceAll('/', '~1')}`;
}
