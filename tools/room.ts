export interface Room {
  /** The folder, relative to the repository. */
  readonly path: string;
  /** Says in a sentence what the room is for. */
  readonly holds: string;
  /** The file that begins with an overview of the room: a source file with a comment, or a Markdown file. */
  readonly page: string;
  /** The rooms on the same floor that it may import from. */
  readonly neighbours?: readonly string[];
}

export interface Floor {
  readonly name: string;
  readonly rooms: readonly Room[];
}
