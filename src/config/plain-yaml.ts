import { type Document, parseDocument, visit } from 'yaml';

/** Holds every mistake of a YAML file, but no text of it: the file may be the wrong one and hold a key. */
export class PlainYamlError extends Error {
  constructor(readonly mistakes: readonly string[]) {
    super(mistakes.join('; '));
    this.name = 'PlainYamlError';
  }
}

/**
 * Reads YAML 1.2 in which every value means what an operator sees. It refuses directives (under `%YAML 1.1`, `010` is 8
 * and `<<` merges), anchors, aliases, tags and second documents.
 *
 * @throws PlainYamlError
 */
export function parsePlainYaml(text: string): unknown {
  const document = parseDocument(text);
  const faults = [...document.errors, ...document.warnings].map(({ message }) => message.split('\n', 1)[0]!);
  const mistakes = [...faults, ...findSpecials(document)];
  if (mistakes.length > 0) throw new PlainYamlError(mistakes);
  return document.toJS({ maxAliasCount: 0 });
}

/** Finds the features that give a value another meaning than its text. */
function findSpecials(document: Document.Parsed): string[] {
  const { yaml, tags } = document.directives;
  const specials = new Set<string>();
  if (yaml.explicit || Object.keys(tags).length > 1)
    specials.add('a YAML directive (a line that begins with %) is refused');
  visit(document, {
    Alias: () => void specials.add('a YAML alias (*) is refused'),
    Value(_, { anchor, tag }) {
      if (anchor !== undefined) specials.add('a YAML anchor (&) is refused');
      if (tag !== undefined) specials.add('a YAML tag (!) is refused');
    },
  });
  return [...specials];
}
