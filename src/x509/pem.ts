export interface PemBlock {
  /** The block with its BEGIN and END lines. */
  readonly text: string;
  readonly der: Buffer;
}

/**
 * Reads the blocks with a label in a file (RFC 7468) and skips everything else.
 *
 * @param label a regular expression
 * @throws Error when a block has no end, as in a half-written file, or shares a line with other text: OpenSSL would
 *   silently skip such a block and all that follow it
 */
export function readPemBlocks(file: string, label: string): PemBlock[] {
  const frame = `^-----BEGIN (?:${label})-----[ \\t]*\\r?\\n([^-]+)^-----END (?:${label})-----[ \\t\\r]*$`;
  const blocks = [...file.matchAll(new RegExp(frame, 'gm'))];
  const begun = file.match(new RegExp(`-----BEGIN (?:${label})`, 'g')) ?? [];
  if (begun.length > blocks.length) throw new Error('it is cut off, or its BEGIN or END is not on a line of its own');
  return blocks.map(([text, base64]) => ({ text, der: Buffer.from(base64!, 'base64') }));
}

export function toPem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`;
}
