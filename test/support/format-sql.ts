/**
 * Formats a statement for readers: one clause a line, and parentheses that do not fit on a line as blocks. It changes
 * nothing but white space. It knows the clauses that the statements of the ceremonies use, not all of SQL.
 */
export function formatSql(text: string): string {
  return renderItems(parseGroup(tokenize(text)), 0).join('\n');
}

const WIDTH = 110;

/** The words that begin a line. A longer entry comes before its beginning. */
const CLAUSES = [
  ...['WITH', 'SELECT', 'INSERT INTO', 'DELETE FROM', 'UPDATE', 'SET', 'FROM', 'WHERE', 'RETURNING', 'UNION ALL'],
  ...['CROSS JOIN', 'LEFT JOIN', 'JOIN', 'ON CONFLICT', 'GROUP BY', 'ORDER BY', 'LIMIT', 'OFFSET', 'FOR'],
].map((clause) => clause.split(' '));

/** Words that contain a clause and do not begin a line. */
const PHRASES = ['WITH ORDINALITY', 'ROWS FROM', 'FOR NO KEY UPDATE', 'FOR UPDATE', 'DO UPDATE SET'].map((phrase) =>
  phrase.split(' '),
);

interface Token {
  readonly text: string;
  /** True if white space comes before it. */
  readonly spaced: boolean;
}

/** A token, or a parenthesis with the items in it. */
type Item = Token & { readonly inside?: readonly Item[] };

function tokenize(text: string): Token[] {
  const tokens = text.matchAll(/(\s*)('(?:[^']|'')*'|"[^"]*"|[\w.$]+|::|[(),[\]]|[^\s\w.$'"(),[\]]+)/g);
  return Array.from(tokens, ([, space, token]) => ({ text: token!, spaced: space !== '' }));
}

function parseGroup(tokens: Token[]): Item[] {
  const items: Item[] = [];
  for (let token = tokens.shift(); token && token.text !== ')'; token = tokens.shift()) {
    items.push(token.text === '(' ? { ...token, inside: parseGroup(tokens) } : token);
  }
  return items;
}

function flatten(items: readonly Item[]): string {
  const whole = items.map(
    ({ text, spaced, inside }) => `${spaced ? ' ' : ''}${inside ? `(${flatten(inside)})` : text}`,
  );
  return whole.join('').trim();
}

const startsWith = (items: readonly Item[], at: number, words: readonly string[]): boolean =>
  words.every((word, n) => items[at + n]?.text === word);

/** Splits items where a clause begins. */
function splitClauses(items: readonly Item[]): Item[][] {
  const clauses: Item[][] = [[]];
  for (let at = 0; at < items.length;) {
    const phrase = PHRASES.find((words) => startsWith(items, at, words));
    const clause = CLAUSES.find((words) => startsWith(items, at, words));
    if (phrase?.[0] === 'FOR' || (!phrase && clause)) clauses.push([]);
    const length = (phrase ?? clause ?? ['']).length;
    clauses.at(-1)!.push(...items.slice(at, at + length));
    at += length;
  }
  return clauses.filter((clause) => clause.length > 0);
}

/** Splits items before a word, or after a comma. */
function splitItems(items: readonly Item[], separator: ',' | 'AND'): Item[][] {
  const parts: Item[][] = [[]];
  for (const item of items) {
    if (separator === 'AND' && item.text === 'AND') parts.push([]);
    parts.at(-1)!.push(item);
    if (separator === ',' && item.text === ',') parts.push([]);
  }
  return parts;
}

function renderItems(items: readonly Item[], depth: number): string[] {
  return splitClauses(items).flatMap((clause) => renderClause(clause, depth));
}

function renderClause(clause: readonly Item[], depth: number): string[] {
  const line = indent(depth, flatten(clause));
  const [head] = clause;
  if (line.length <= WIDTH && head!.text !== 'WITH') return [line];
  const words = CLAUSES.find((all) => startsWith(clause, 0, all))?.length ?? 0;
  const rest = clause.slice(words);
  const parts = splitItems(rest, head!.text === 'WHERE' ? 'AND' : ',');
  if (words === 0 || parts.length === 1) return renderBlocks(clause, depth);
  return [indent(depth, flatten(clause.slice(0, words))), ...parts.flatMap((part) => renderPart(part, depth + 1))];
}

function renderPart(part: readonly Item[], depth: number): string[] {
  const line = indent(depth, flatten(part));
  const isTable = part.some(
    ({ text }, n) => text === 'AS' && part.slice(n).some(({ inside }) => inside && splitClauses(inside).length > 1),
  );
  return line.length <= WIDTH && !isTable ? [line] : renderBlocks(part, depth);
}

/** Renders items on one line, except for parentheses that do not fit: these become blocks. */
function renderBlocks(items: readonly Item[], depth: number): string[] {
  const lines = [''];
  const largest = Math.max(...items.map(({ inside }) => (inside ? flatten(inside).length : 0)));
  for (const item of items) {
    const text = `${item.spaced ? ' ' : ''}${item.inside ? `(${flatten(item.inside)})` : item.text}`;
    const block = item.inside !== undefined && (text.length > WIDTH / 2 || text.length >= largest + 2);
    if (block && item.inside.length > 1) {
      lines.push(
        `${lines.pop()!}${item.spaced ? ' ' : ''}(`,
        ...renderInside(item.inside, depth + 1),
        indent(depth, ')'),
      );
    } else lines.push(`${lines.pop()!}${text}`);
  }
  return [indent(depth, lines[0]!.trimStart()), ...lines.slice(1)];
}

function renderInside(items: readonly Item[], depth: number): string[] {
  if (splitClauses(items).length > 1) return renderItems(items, depth);
  const line = indent(depth, flatten(items));
  if (line.length <= WIDTH) return [line];
  const parts = splitItems(items, ',');
  return parts.length > 1 ? parts.flatMap((part) => renderPart(part, depth)) : renderClause(items, depth);
}

function indent(depth: number, text: string): string {
  return `${'  '.repeat(depth)}${text}`;
}
