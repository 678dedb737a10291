export interface PemBlock {
  /** With its frame. */
  readonly text: string;
  readonly der: Buffer;
}

/**
 * The blocks of a label in a file (RFC 7468); what else is in the file is passed over.
 *
 * @param label a regular expression
 * @throws Error when a block has no end, as in a file that is half written, or no lines of its own: OpenSSL would pass
 *   over such a one, and all that come after it, without a word
 */
export function pemBlocks(file: string, label: string): PemBlock[] {
  const frame = `^-----BEGIN (?:${label})-----[ \\t]*\\r?\\n([^-]+)^-----END (?:${label})-----[ \\t\\r]*$`;
  const blocks = [...file.matchAll(new RegExp(frame, 'gm'))];
  const begun = file.match(new RegExp(`-----BEGIN (?:${label})`, 'g')) ?? [];
  if (begun.length > blocks.length) throw new Error('it is cut off, or its frame has no lines of its own');
  return blocks.map(([text, base64]) => ({ text, der: Buffer.from(base64!, 'base64') }));
}

export function pemOf(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}
