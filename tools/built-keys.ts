import type * as KeyFile from '../commands/keys/key-file.js';
import type * as KeyTable from '../commands/keys/key-table.js';
import type * as Retire from '../commands/keys/retire.js';

type BuiltKeys = typeof KeyFile & typeof KeyTable & typeof Retire;

/** Loads the parts of `npm run keys` as they were built: their source has decorators, which Node cannot strip. */
export async function loadBuiltKeys(): Promise<BuiltKeys> {
  const load = async (name: string): Promise<object> => (await import(`../dist/commands/keys/${name}.js`)) as object;
  const parts = await Promise.all(['key-file', 'key-table', 'retire'].map(load));
  return Object.assign({}, ...parts) as BuiltKeys;
}
