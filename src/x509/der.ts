/** One element of DER or BER (X.690 §8.1): the first octet of its tag, and the offsets of its start, its content and its end. */
export interface DerElement {
  readonly tag: number;
  readonly start: number;
  readonly content: number;
  readonly end: number;
}

export const DER = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const;

/** The number of a tag that goes on in the following octets (X.690 §8.1.2.4). */
const MULTI_OCTET_TAG = 0x1f;

/** The tag of an explicitly tagged, constructed element `[n]`. */
export const makeContextTag = (number: number): number => 0xa0 | number;

/** Encodes an element (X.690 §8.1). */
export function encodeDer(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** Reads the element at an offset. @throws Error when no whole element ends at or before `limit` */
export function readElement(der: Buffer, start: number, limit: number): DerElement {
  let content = start + 2;
  if (content > limit) throw new Error('it is not valid DER');
  let length = der[start + 1]!;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 4 || content + octets > limit) throw new Error('it is not valid DER');
    length = der.readUIntBE(content, octets);
    content += octets;
  }
  const end = content + length;
  if (end > limit) throw new Error('it is not valid DER');
  return { tag: der[start]!, start, content, end };
}

/**
 * Reads the header of an element in BER, which allows more than DER: a tag of several octets, a longer length than
 * necessary, and an indefinite length. An element of indefinite length fills its parent, so its end marks count as elements,
 * too.
 *
 * @throws RangeError
 */
export function readBerElement(ber: Buffer, start: number, limit: number): DerElement {
  const tag = ber.readUInt8(start);
  let content = start + 1;
  if ((tag & MULTI_OCTET_TAG) === MULTI_OCTET_TAG) while (ber.readUInt8(content++) >= 0x80);
  let length = ber.readUInt8(content++);
  if (length === 0x80) return { tag, start, content, end: limit };
  if (length > 0x80) {
    const octets = length & 0x7f;
    length = ber.readUIntBE(content, octets);
    content += octets;
  }
  const end = content + length;
  if (end > limit) throw new RangeError('the element is longer than its parent');
  return { tag, start, content, end };
}

/** Reads the elements of an element's content. @throws Error when they do not fill it */
export function readChildren(der: Buffer, parent: DerElement, readHeader = readElement): DerElement[] {
  const children: DerElement[] = [];
  for (let at = parent.content; at < parent.end; at = children.at(-1)!.end) {
    children.push(readHeader(der, at, parent.end));
  }
  return children;
}

/** Returns the element if it has one of the tags. @throws Error when it has another one or is missing */
export function expectTag(element: DerElement | undefined, ...tags: number[]): DerElement {
  if (!element || !tags.includes(element.tag)) throw new Error('it is not valid DER');
  return element;
}

/** Reads the children of a SEQUENCE that fills the bytes exactly. @throws Error when it does not */
export function readWholeSequence(der: Buffer): DerElement[] {
  const outer = expectTag(readElement(der, 0, der.length), DER.sequence);
  if (outer.end !== der.length) throw new Error('it is not valid DER');
  return readChildren(der, outer);
}

/** Formats an INTEGER as hexadecimal without leading zeros, as tools do. @throws Error when it is empty */
export function formatInteger(der: Buffer, { content, end }: DerElement): string {
  if (content === end) throw new Error('it is not valid DER');
  if (der[content]! >= 0x80) {
    return BigInt.asIntN((end - content) * 8, BigInt(`0x${der.toString('hex', content, end)}`)).toString(16);
  }
  let start = content;
  while (der[start] === 0 && start < end - 1) start += 1;
  const hexadecimal = der.toString('hex', start, end);
  return der[start]! < 0x10 ? hexadecimal.slice(1) : hexadecimal;
}

export function stripLeadingZeros(hexadecimal: string): string {
  return hexadecimal.replace(/^(-?)0+(?=.)/, '$1');
}

/**
 * Reads a time (RFC 5280 §4.1.2.5): UTCTime until 2049, GeneralizedTime afterwards, both in UTC with seconds. @throws
 * Error when it has another form
 */
export function readTime(der: Buffer, element: DerElement): Date {
  const text = der.toString('latin1', element.content, element.end);
  const century = element.tag === DER.utcTime ? (text < '50' ? '20' : '19') : '';
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text);
  const time = new Date(match ? `${match.slice(1, 4).join('-')}T${match.slice(4).join(':')}Z` : Number.NaN);
  if (Number.isNaN(time.getTime())) throw new Error('it is not valid DER');
  return time;
}
