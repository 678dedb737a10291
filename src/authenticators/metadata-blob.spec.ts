import { describe, expect, it } from '@jest/globals';
import { dayFromNow, MetadataAuthority, type SignerProfile } from '../../test/support/metadata-blob.js';
import { FIDO_METADATA_ROOTS } from '../webauthn/well-known-roots.js';
import { MAX_BLOB_BYTES, verifyMetadataBlob } from './metadata-blob.js';
import { type Metadata, MetadataError } from './metadata.js';

const AAGUID = '2fc0579f-8113-47ea-b116-bb5a8db9202a';
const OTHER = '9ddd1817-af5a-4672-a2b9-3e3dd95000a9';
const ICON = 'data:image/png;base64,iVBORw0KGgo=';
const authority = await MetadataAuthority.create();
const stranger = await MetadataAuthority.create();
const signer = await authority.signer();
const { x5c } = signer;

const verify = (blob: string | Buffer, roots = [authority.rootPem], now = new Date()): Metadata =>
  verifyMetadataBlob(Buffer.from(blob), roots, now);

const entry = {
  aaguid: AAGUID.toUpperCase(),
  metadataStatement: {
    description: 'Model One',
    icon: ICON,
    attestationRootCertificates: [x5c[0], 'bm9uZQ==', x5c[0]],
    attestationTypes: ['basic_full'],
  },
  statusReports: [{ status: 'REVOKED', effectiveDate: '2026-01-31' }, { status: 'FIDO_CERTIFIED' }],
};

describe('FIDO Metadata Service v3.1 §3.2, a BLOB', () => {
  it.each(['ES256', 'RS256'] as const)('is accepted when it is signed with %s', async (algorithm) => {
    const { blob } = await authority.signer({ algorithm });
    const metadata = verify(`${blob({ no: 7, nextUpdate: '2026-12-01', entries: [entry] })}\n`);
    expect(metadata).toMatchObject({ no: 7, nextUpdate: new Date('2026-12-01T00:00:00Z') });
    expect(metadata.models.get(AAGUID)).toEqual({
      description: 'Model One',
      icon: ICON,
      roots: Array(2).fill(expect.stringContaining('BEGIN CERTIFICATE')),
      reports: [
        { status: 'FIDO_CERTIFIED', effectiveDate: null },
        { status: 'REVOKED', effectiveDate: new Date('2026-01-31T00:00:00Z') },
      ],
    });
  });

  it('may carry its root too', () => {
    const root = authority.rootPem.replaceAll(/-----[^-]+-----|\s/g, '');
    expect(verify(signer.blob({ header: { x5c: [...x5c, root] } })).no).toBe(1);
  });

  it('may name its signer only in the CN', async () => {
    expect(verify((await authority.signer({ dnsNames: [] })).blob()).no).toBe(1);
  });

  it('of another root is refused under the roots of the service', () => {
    expect(FIDO_METADATA_ROOTS).toHaveLength(2);
    expect(() => verify(signer.blob(), [...FIDO_METADATA_ROOTS])).toThrow(MetadataError);
  });

  const DAY_MS = 86_400_000;

  const SIGNERS: [string, Partial<SignerProfile>, string][] = [
    ['that has expired', { notAfter: new Date(Date.now() - DAY_MS / 2) }, 'not valid'],
    ['that is not valid yet', { notBefore: new Date(Date.now() + DAY_MS) }, 'not valid'],
    ['for another host', { dnsNames: ['mds.example'] }, 'is not mds.fidoalliance.org'],
    [
      'for another host, with the right CN',
      { subject: 'CN=mds.fidoalliance.org', dnsNames: ['www.example'] },
      'is not mds',
    ],
    ['with a wildcard', { dnsNames: ['*.fidoalliance.org'] }, 'is not mds.fidoalliance.org'],
    ['that is a CA', { ca: true }, 'is a certificate authority'],
    ['whose issuer is not a CA', { authority: { ca: false } }, 'chain'],
  ];

  it.each(SIGNERS)('is refused from a signer %s', async (_, profile, message) => {
    const { blob } = await authority.signer(profile);
    expect(() => verify(blob())).toThrow(message);
  });

  it('is refused when its chain has ended since, and says what to do', () => {
    const verifyLater = () => verify(signer.blob(), undefined, new Date(Date.now() + 31 * DAY_MS));
    expect(verifyLater).toThrow('is not valid at this time: it ended at');
    expect(verifyLater).toThrow('fetch the current BLOB from https://mds3.fidoalliance.org');
  });

  it.each(['another root', 'no root'])('is refused with %s', (which) => {
    expect(() => verify(signer.blob(), which === 'no root' ? [] : [stranger.rootPem])).toThrow('the signer’s chain');
  });

  it('is refused when it is signed by another key than that of its chain', async () => {
    const other = await authority.signer();
    expect(() => verify(other.blob({ header: { x5c } }))).toThrow('the signature is not valid');
  });

  const HEADERS: [string, Record<string, unknown>, string][] = [
    ['the algorithm none', { alg: 'none' }, 'the algorithm is "none"'],
    ['the algorithm HS256', { alg: 'HS256' }, 'the algorithm is "HS256"'],
    ['the name of a member that every object has as algorithm', { alg: 'toString' }, 'the algorithm is "toString"'],
    ['an algorithm for another kind of key', { alg: 'RS256' }, 'the signature is not valid'],
    ['no algorithm', { alg: undefined }, 'the algorithm is'],
    ['critical extensions', { crit: ['exp'], exp: 1 }, 'critical extensions'],
    ['no chain, but a URL', { x5c: undefined, x5u: 'https://mds.example/chain.pem' }, 'no chain'],
    ['an empty chain', { x5c: [] }, 'the chain is empty'],
    ['a malformed chain', { x5c: [1] }, 'no chain'],
    ['a malformed certificate', { x5c: ['bm9uZQ=='] }, 'is not a certificate'],
    ['the leaf alone', { x5c: x5c.slice(0, 1) }, 'a known root'],
    ['the chain in another order', { x5c: x5c.toReversed() }, 'the signer'],
  ];

  it.each(HEADERS)('is refused with %s', (_, header, message) => {
    expect(() => verify(signer.blob({ header }))).toThrow(message);
  });

  const flipBit = (part: number): string => {
    const parts = signer.blob().split('.');
    const text = parts[part]!;
    parts[part] = `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`;
    return parts.join('.');
  };
  const removeSignature = (): string => signer.blob().replace(/[^.]+$/, '');

  const FILES: [string, () => string | Buffer][] = [
    ['nothing', () => ''],
    ['text that is not a JWS', () => '{"entries":[]}'],
    ['a changed payload', () => flipBit(1)],
    ['a changed signature', () => flipBit(2)],
    ['no signature', removeSignature],
    ['a signature of zeros', () => `${removeSignature()}${'A'.repeat(86)}`],
    ['half of it', () => signer.blob().slice(0, -200)],
    ['another part', () => `${signer.blob()}.e30`],
    ['a byte that is not base64url', () => signer.blob().replace('.', '=.')],
    ['a line in the middle', () => signer.blob().replace('.', '\n.')],
    ['a header that is not JSON', () => signer.blob().replace(/^[^.]+/, 'AAAA')],
    [
      'a header that is not an object',
      () => signer.blob().replace(/^[^.]+/, Buffer.from('null').toString('base64url')),
    ],
  ];

  it.each(FILES)('is refused with %s', (_, blob) => {
    expect(() => verify(blob())).toThrow(MetadataError);
  });

  it('is refused when it is larger than the limit', () => {
    expect(() => verify(Buffer.alloc(MAX_BLOB_BYTES + 1))).toThrow('more than');
  });
});

describe('the payload of a BLOB', () => {
  const verifyModel = (members: object): Metadata => verify(signer.blob({ entries: [{ aaguid: AAGUID, ...members }] }));

  const REFUSED: [string, Parameters<typeof signer.blob>[0]][] = [
    ['no serial number', { no: 'one' }],
    ['a serial number below zero', { no: -1 }],
    ['a fraction for a serial number', { no: 1.5 }],
    ['no date', { nextUpdate: 'tomorrow' }],
    ['a day that does not exist', { nextUpdate: '2026-13-01' }],
    ['no entries', { entries: {} }],
  ];

  it.each(REFUSED)('is refused with %s', (_, blob) => {
    expect(() => verify(signer.blob(blob))).toThrow(MetadataError);
  });

  const REVOKED = { aaguid: AAGUID, statusReports: [{ status: 'REVOKED' }] };
  it.each<[string, unknown[], string]>([
    ['an entry with a malformed AAGUID', [{ aaguid: 'x' }, REVOKED], 'entries[0]: its aaguid is not an AAGUID'],
    ['one whose AAGUID is not text', [{ aaguid: 7 }, REVOKED], 'entries[0]: its aaguid is not an AAGUID'],
    [
      'status reports that are not a list',
      [REVOKED, { aaguid: OTHER, statusReports: 'REVOKED' }],
      'entries[1]: statusReports is not a list',
    ],
    [
      'a status report without a status',
      [{ aaguid: AAGUID, statusReports: [{}, null, { status: 'REVOKED' }] }],
      'entries[0]: statusReports[0] has no status',
    ],
  ])('is accepted without %s, reports that, and keeps the reports about other models', (_, entries, told) => {
    const { models, skipped } = verify(signer.blob({ entries }));
    expect(skipped[0]).toBe(told);
    expect(models.get(AAGUID)?.reports).toEqual([{ status: 'REVOKED', effectiveDate: null }]);
  });

  it('may have two entries for a model, and the reports of both count', () => {
    const again = {
      aaguid: AAGUID,
      metadataStatement: { description: 'Again' },
      statusReports: [{ status: 'REVOKED' }],
    };
    const { models } = verify(signer.blob({ entries: [entry, again] }));
    expect(models.get(AAGUID)).toMatchObject({ description: 'Model One' });
    expect(models.get(AAGUID)?.reports.filter(({ status }) => status === 'REVOKED')).toHaveLength(2);
  });

  it('may name authenticators without an AAGUID, which are skipped', () => {
    const entries = [{ aaid: '1234#5678' }, { attestationCertificateKeyIdentifiers: ['00'] }, null];
    expect(verify(signer.blob({ entries, nextUpdate: dayFromNow(1) })).models.size).toBe(0);
  });

  it.each([
    ['a description with a line break', { description: 'One\nTwo' }],
    ['an icon from elsewhere', { icon: 'https://evil.example/icon.png' }],
    ['an icon that is a page', { icon: 'data:text/html;base64,AAAA' }],
    ['an icon that is very large', { icon: `data:image/png;base64,${'A'.repeat(70_000)}` }],
    ['roots that cannot be parsed', { attestationRootCertificates: ['AAAA', 1, null] }],
  ])('is accepted without %s, and reports that', (_, metadataStatement) => {
    const nothing = { description: undefined, icon: undefined, roots: [], reports: [] };
    const { models, skipped } = verifyModel({ metadataStatement });
    expect(models.get(AAGUID)).toEqual(nothing);
    expect(skipped).toHaveLength(1);
  });

  it('may have a model without a statement', () => {
    expect(verifyModel({ statusReports: [{ status: 'REVOKED' }] }).models.get(AAGUID)).toMatchObject({ roots: [] });
  });
});
