import { HasForm } from './has-form.js';

/** A UUID of any version: an id that this service did not issue is unknown, not malformed. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The `{id}` parameter of a path. */
export class IdParam {
  @HasForm(UUID, 'a UUID')
  id: string;
}
