import { HasForm, UUID } from './validators.js';

/** The `{id}` parameter of a path. */
export class IdParam {
  @HasForm(UUID, 'a UUID')
  id: string;
}
