/** Reads a text of a form, without the spaces around it; empty if it has none of the name. */
export function readField(form: HTMLFormElement, name: string): string {
  const value = new FormData(form).get(name);
  return typeof value === 'string' ? value.trim() : '';
}
