import { makeVisible } from './formats.js';

/** HTML that is safe to show. Only `markup` and fixed texts make it. */
export class Markup {
  readonly html: string;

  constructor(html: string) {
    this.html = html;
  }
}

type Part = string | number | Markup | readonly Markup[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Tags a template as HTML: it keeps the literal text and Markup parts as they are, and escapes every other part. */
export function markup(literals: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new Markup(String.raw({ raw: literals }, ...parts.map(escapePart)));
}

function escapePart(part: Part): string {
  if (part instanceof Markup) return part.html;
  if (typeof part === 'object') return part.map(({ html }) => html).join('');
  return makeVisible(String(part)).replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
