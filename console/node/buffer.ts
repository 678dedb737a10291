/**
 * The part of Node's `Buffer` that src/tlog uses, for the page. TypeScript compiles src/tlog against these declarations, so it
 * refuses a use of what is not here.
 */
type Encoding = 'utf8' | 'latin1' | 'hex' | 'base64' | 'base64url';

interface PageBuffer extends Uint8Array<ArrayBuffer> {
  toString(encoding?: Encoding): string;
  subarray(begin?: number, end?: number): PageBuffer;
  readBigUInt64BE(offset?: number): bigint;
  writeBigUInt64BE(value: bigint, offset?: number): number;
}

interface PageBuffers {
  from(text: string, encoding?: Encoding): PageBuffer;
  /** Copies. */
  from(bytes: Uint8Array): PageBuffer;
  /** Shares the memory. */
  from(memory: ArrayBufferLike, offset: number, length: number): PageBuffer;
  of(...bytes: number[]): PageBuffer;
  alloc(length: number, fill?: number): PageBuffer;
  concat(parts: readonly Uint8Array[]): PageBuffer;
  compare(one: Uint8Array, other: Uint8Array): -1 | 0 | 1;
  byteLength(text: string): number;
}

declare global {
  // The names that src/tlog uses.
  type Buffer = PageBuffer;
  var Buffer: PageBuffers;
}

class Bytes extends Uint8Array<ArrayBuffer> implements PageBuffer {
  override toString(encoding: Encoding = 'utf8'): string {
    if (encoding === 'hex') return this.toHex();
    if (encoding === 'base64') return this.toBase64();
    if (encoding === 'base64url') return this.toBase64({ alphabet: 'base64url', omitPadding: true });
    if (encoding === 'utf8') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(this);
    let text = '';
    for (const byte of this) text += String.fromCharCode(byte);
    return text;
  }

  override subarray(begin?: number, end?: number): PageBuffer {
    return super.subarray(begin, end) as unknown as PageBuffer;
  }

  readBigUInt64BE(offset = 0): bigint {
    return new DataView(this.buffer, this.byteOffset).getBigUint64(offset);
  }

  writeBigUInt64BE(value: bigint, offset = 0): number {
    new DataView(this.buffer, this.byteOffset).setBigUint64(offset, value);
    return offset + 8;
  }
}

/** Like Node, reads base64 in both alphabets, and stops where the text is no longer base64. */
function decodeBase64(text: string): Uint8Array {
  const plain = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  const valid = /^[A-Za-z0-9+/]*/.exec(plain)![0];
  const whole = valid.length % 4 === 1 ? valid.slice(0, -1) : valid;
  return Uint8Array.fromBase64(whole, { lastChunkHandling: 'loose' });
}

function encode(text: string, encoding: Encoding): Uint8Array {
  if (encoding === 'hex') return Uint8Array.fromHex(/^(?:[0-9a-f]{2})*/i.exec(text)![0]);
  if (encoding === 'latin1') return Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff);
  return encoding === 'utf8' ? new TextEncoder().encode(text) : decodeBase64(text);
}

function make(length: number): Bytes {
  return new Bytes(new ArrayBuffer(length));
}

function copy(bytes: Uint8Array): Bytes {
  const copied = make(bytes.length);
  copied.set(bytes);
  return copied;
}

export const Buffer: PageBuffers = {
  from(source: string | Uint8Array | ArrayBufferLike, second?: Encoding | number, length?: number): PageBuffer {
    if (typeof source === 'string') return copy(encode(source, (second as Encoding | undefined) ?? 'utf8'));
    if (source instanceof Uint8Array) return copy(source);
    return new Bytes(source as ArrayBuffer, second as number, length);
  },
  of: (...bytes) => copy(Uint8Array.of(...bytes)),
  alloc: (length, fill = 0) => make(length).fill(fill),
  concat(parts) {
    const whole = make(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  },
  compare(one, other) {
    const shorter = Math.min(one.length, other.length);
    for (let at = 0; at < shorter; at += 1) if (one[at] !== other[at]) return one[at]! < other[at]! ? -1 : 1;
    return one.length === other.length ? 0 : one.length < other.length ? -1 : 1;
  },
  byteLength: (text) => new TextEncoder().encode(text).length,
};

globalThis.Buffer = Buffer;

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
