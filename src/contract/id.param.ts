import { HasForm } from './has-form.js';

/** Every version: an id that this service never gave out is unknown, not malformed. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The `{id}` of a path. */
export class IdParam {
  @HasForm(UUID, 'a UUID')
  id: string;
}
