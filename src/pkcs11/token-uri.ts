/** Says why a key in a token cannot be used. It never holds a PIN. */
export class TokenError extends Error {
  override readonly name = 'TokenError';
}

/** A key in a PKCS#11 token, as a `pkcs11:` URI names it (RFC 7512). */
export interface TokenUri {
  /** The path of the library that talks to the token. */
  readonly module: string;
  /** The path of the file that holds the PIN of the token's user. */
  readonly pinFile: string;
  /** The token's label. */
  readonly token: string;
  /** The token's serial number, if two tokens have one label. */
  readonly serial?: string | undefined;
  /** The key's label, CKA_LABEL. */
  readonly object?: string | undefined;
  /** The key's CKA_ID, in hexadecimal. */
  readonly id?: string | undefined;
}

const PATH_ATTRIBUTES = ['token', 'serial', 'object', 'id'];
const QUERY_ATTRIBUTES = ['module-path', 'pin-source'];

/** Tells whether a line of a key file names a key in a token. */
export function isTokenUri(line: string): boolean {
  return line.startsWith('pkcs11:');
}

/** @throws TokenError */
export function parseTokenUri(uri: string): TokenUri {
  const [path = '', query = '', ...rest] = uri.slice('pkcs11:'.length).split('?');
  if (rest.length > 0) throw new TokenError('a pkcs11 URI has one question mark');
  const attributes = parseAttributes(path, ';', PATH_ATTRIBUTES);
  const { token, object, serial } = readTexts(attributes);
  const id = attributes.get('id')?.toString('hex');
  if (token === undefined) throw new TokenError('a pkcs11 URI must name the token');
  if (object === undefined && id === undefined) throw new TokenError('a pkcs11 URI must name the object, or its id');
  const settings = readTexts(parseAttributes(query, '&', QUERY_ATTRIBUTES));
  const module = readPath(settings['module-path'], 'module-path');
  return { module, pinFile: readPath(settings['pin-source'], 'pin-source'), token, serial, object, id };
}

function parseAttributes(text: string, separator: string, known: readonly string[]): Map<string, Buffer> {
  const attributes = new Map<string, Buffer>();
  for (const part of text.split(separator)) {
    const [, name = '', value = ''] = /^([\w-]+)=(.+)$/.exec(part) ?? [];
    // The text is not repeated: it may be a PIN.
    if (name === 'pin-value') throw new TokenError('a pkcs11 URI must not hold the PIN: name its file as pin-source');
    if (!known.includes(name)) throw new TokenError(`a pkcs11 URI has ${known.join(', ')}, each with a value`);
    if (attributes.has(name)) throw new TokenError(`a pkcs11 URI has one ${name}`);
    attributes.set(name, decodePercent(value));
  }
  return attributes;
}

/** RFC 3986 §2.1. The bytes need not be text: an id is any bytes. */
function decodePercent(value: string): Buffer {
  if (/%(?![0-9a-f]{2})/i.test(value)) throw new TokenError('a pkcs11 URI has two digits after each percent sign');
  const pieces = value.split(/(%[0-9a-f]{2})/i);
  return Buffer.concat(
    pieces.map((piece) => (piece.startsWith('%') ? Buffer.from(piece.slice(1), 'hex') : Buffer.from(piece))),
  );
}

function readTexts(attributes: ReadonlyMap<string, Buffer>): Partial<Record<string, string>> {
  return Object.fromEntries([...attributes].map(([name, value]) => [name, value.toString()]));
}

/** Reads an absolute path, or a `file:` URI of one. RFC 7512 §2.4 also allows programs that print a PIN; we do not. */
function readPath(value: string | undefined, name: string): string {
  const path = value?.replace(/^file:(?:\/\/(?=\/))?/, '') ?? '';
  if (!/^\/(?!\/)/.test(path)) throw new TokenError(`a pkcs11 URI must have a ${name}, as an absolute path`);
  return path;
}
