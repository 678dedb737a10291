/** One element of DER (X.690 §8.1): its tag, and where it, its content and its end lie. */
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

/** Explicitly tagged, constructed: `[n]`. */
export const contextTag = (number: number): number => 0xa0 | number;

/** X.690 §8.1 */
export function encodeDer(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

/** @throws Error when no element lies there whole before `limit` */
export function elementAt(der: Buffer, start: number, limit: number): DerElement {
  let content = start + 2;
  if (content > limit) throw new Error('malformed DER');
  let length = der[start + 1]!;
  if (length >= 0x80) {
    const octets = length & 0x7f;
    if (octets === 0 || octets > 4 || content + octets > limit) throw new Error('malformed DER');
    length = der.readUIntBE(content, octets);
    content += octets;
  }
  const end = content + length;
  if (end > limit) throw new Error('malformed DER');
  return { tag: der[start]!, start, content, end };
}

/** The elements that fill an element's content. @throws Error */
export function childrenOf(der: Buffer, parent: DerElement): DerElement[] {
  const children: DerElement[] = [];
  for (let at = parent.content; at < parent.end; at = children.at(-1)!.end) {
    children.push(elementAt(der, at, parent.end));
  }
  return children;
}

/** @throws Error when it is another one, or missing */
export function expectTag(element: DerElement | undefined, ...tags: number[]): DerElement {
  if (!element || !tags.includes(element.tag)) throw new Error('malformed DER');
  return element;
}

/** The one element that the bytes are, and its children. @throws Error */
export function wholeSequence(der: Buffer): DerElement[] {
  const outer = expectTag(elementAt(der, 0, der.length), DER.sequence);
  if (outer.end !== der.length) throw new Error('malformed DER');
  return childrenOf(der, outer);
}

/** An INTEGER in hexadecimal without leading zeros, as tools show it. @throws Error */
export function integerText(der: Buffer, { content, end }: DerElement): string {
  if (content === end) throw new Error('malformed DER');
  if (der[content]! >= 0x80) {
    return BigInt.asIntN((end - content) * 8, BigInt(`0x${der.toString('hex', content, end)}`)).toString(16);
  }
  let start = content;
  while (der[start] === 0 && start < end - 1) start += 1;
  const hexadecimal = der.toString('hex', start, end);
  return der[start]! < 0x10 ? hexadecimal.slice(1) : hexadecimal;
}

export function withoutLeadingZeros(hexadecimal: string): string {
  return hexadecimal.replace(/^(-?)0+(?=.)/, '$1');
}

/** RFC 5280 §4.1.2.5: UTCTime until 2049, GeneralizedTime from then on; both in Zulu, with seconds. @throws Error */
export function timeOf(der: Buffer, element: DerElement): Date {
  const text = der.toString('latin1', element.content, element.end);
  const century = element.tag === DER.utcTime ? (text < '50' ? '20' : '19') : '';
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text);
  const time = new Date(match ? `${match.slice(1, 4).join('-')}T${match.slice(4).join(':')}Z` : Number.NaN);
  if (Number.isNaN(time.getTime())) throw new Error('malformed DER');
  return time;
}
