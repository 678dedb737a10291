import { describe, expect, it } from '@jest/globals';
import { readPemBlocks, toPem } from './pem.js';

const DER = Buffer.from('der'.repeat(50));

describe('RFC 7468', () => {
  it('§2: a block is framed by its label, in lines of 64 characters except the last', () => {
    const [begin, ...lines] = toPem('X509 CRL', DER).trimEnd().split('\n');
    expect([begin, lines.pop()]).toEqual(['-----BEGIN X509 CRL-----', '-----END X509 CRL-----']);
    expect(lines.map(({ length }) => length)).toEqual([64, 64, 64, 8]);
  });

  it('reads what it writes', () => {
    const file = toPem('A', DER) + toPem('B', Buffer.from('other')) + toPem('A', Buffer.from('more'));
    expect(readPemBlocks(file, 'A').map(({ der }) => der.toString())).toEqual([DER.toString(), 'more']);
    expect(
      readPemBlocks(file, 'A')
        .map(({ text }) => `${text}\n`)
        .join(''),
    ).toBe(file.replace(toPem('B', Buffer.from('other')), ''));
  });
});
