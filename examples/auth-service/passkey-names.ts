/**
 * The names that passkeys had, as long as this process runs. The audit log keeps no names, because people write them and the
 * log forgets nothing.
 */
export class PasskeyNames {
  readonly #names = new Map<string, string[]>();

  /** Notes the name of a new passkey, or its next one. */
  note(id: string, name: string): void {
    this.#names.set(id, [...(this.#names.get(id) ?? []), name]);
  }

  /**
   * Goes back through a passkey's names, from the present one.
   *
   * @returns a function that names the one before, at each call; undefined: nobody remembers it
   */
  goBack(id: string): () => string | undefined {
    const names = this.#names.get(id) ?? [];
    let at = names.length - 1;
    return () => names[(at -= 1)];
  }
}
