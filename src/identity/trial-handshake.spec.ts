import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as x509 from '@peculiar/x509';
import type { Issued, KeyAlgorithm, Profile } from '../../test/support/authenticator/certificate-chain.js';
import {
  encodeAuthorityKeyIdentifier,
  encodeExtension,
  encodeList,
  type ListProfile,
  makeRevocationList,
  readSerial,
  encodeElement,
} from '../../test/support/revocation-lists.js';
import {
  issueAuthority,
  issueIdentifiedAuthority,
  exportKey,
  issueServer,
  TrustFiles,
} from '../../test/support/trust-files.js';
import type { RevocationList } from '../x509/revocation-list.js';
import { tryHandshakes } from './trial-handshake.js';
import { readTrustMaterial, type TrustMaterial } from './trust-material.js';

let trust: TrustFiles;
beforeEach(async () => {
  trust = await TrustFiles.create();
});
afterEach(() => {
  trust.remove();
});

const read = (held?: TrustMaterial): Promise<TrustMaterial> => readTrustMaterial(trust.files, new Date(), held);

function trusting(authorities: Issued[], profile: ListProfile = {}): void {
  trust.write('ca.crt', authorities.map(({ pem }) => pem).join(''));
  trust.write('ca.crl', authorities.map((by) => makeRevocationList(by, profile)).join(''));
}

const rsa = (modulusLength: number): KeyAlgorithm => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
});
const unknown = new x509.Extension('1.3.6.1.4.1.99999.1', true, new Uint8Array([5, 0]));
const usage = (...usages: string[]) => new x509.ExtendedKeyUsageExtension(usages);

describe('a trial handshake accepts what OpenSSL accepts:', () => {
  it.each<[string, KeyAlgorithm]>([
    ['P-256', { name: 'ECDSA', namedCurve: 'P-256' }],
    ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }],
    ['P-521', { name: 'ECDSA', namedCurve: 'P-521' }],
    ['RSA of 2048 bits', rsa(2_048)],
    ['Ed25519', { name: 'Ed25519' }],
  ])('an authority with a key of %s', async (_, key) => {
    trusting([await issueAuthority({ key })]);
    expect((await read()).authorities).toHaveLength(1);
  });

  it.each<[string, Profile]>([
    ['that signs for no path', { pathLength: 0 }],
    ['for callers alone', { extensions: [usage(x509.ExtendedKeyUsage.clientAuth)] }],
    [
      'with extensions that are not critical',
      { extensions: [new x509.Extension('1.3.6.1.4.1.99999.1', false, new Uint8Array([5, 0]))] },
    ],
  ])('an authority %s', async (_, profile) => {
    trusting([await issueIdentifiedAuthority('0a0b', profile)]);
    expect((await read()).authorities).toHaveLength(1);
  });

  it('several authorities with the names that they permit, below roots and beside them', async () => {
    const permitted = encodeElement(
      0x30,
      encodeElement(0xa0, encodeElement(0x30, encodeElement(0x86, Buffer.from('bank.example')))),
    );
    const constraints = new x509.Extension('2.5.29.30', true, new Uint8Array(permitted));
    const root = await issueIdentifiedAuthority('01', { subject: 'CN=Other' });
    const between = await issueIdentifiedAuthority('02', { subject: 'CN=Between', extensions: [constraints] }, root);
    const namesake = await issueIdentifiedAuthority('03');
    trusting([between, trust.root, root]);
    expect((await read()).authorities).toHaveLength(3);
    const former = await issueIdentifiedAuthority('04');
    trust.write('ca.crt', namesake.pem + former.pem);
    const of = (keyId: string) => ({ extensions: [encodeAuthorityKeyIdentifier({ keyId })] });
    trust.write('ca.crl', makeRevocationList(namesake, of('03')) + makeRevocationList(former, of('04')));
    expect((await read()).authorities).toHaveLength(2);
  });

  it('an authority whose root’s list has ended in use, while another list is replaced', async () => {
    const between = await issueAuthority({ subject: 'CN=Between' }, trust.root);
    const end = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_600_000);
    trust.write('ca.crt', trust.root.pem + between.pem);
    trust.write('ca.crl', makeRevocationList(trust.root, { nextUpdate: end }) + makeRevocationList(between));
    const held = await read();
    trust.write(
      'ca.crl',
      makeRevocationList(trust.root, { nextUpdate: end }) + makeRevocationList(between, { number: 2 }),
    );
    const later = await readTrustMaterial(trust.files, new Date(end.getTime() + 1_000), held);
    expect(later.revocationLists.map(({ number }) => number).sort()).toEqual([1n, 2n]);
  });
});

describe('a trial handshake leaves out revoked authorities:', () => {
  it.each<[string, (between: Issued) => Issued]>([
    ['an intermediate by its root', (between) => between],
    ['a root by itself', () => trust.root],
  ])('%s, and all below', async (_, choose) => {
    const between = await issueAuthority({ subject: 'CN=Between' }, trust.root);
    const below = await issueAuthority({ subject: 'CN=Below' }, between);
    trusting([trust.root, between, below]);
    const held = await read();
    const revoking = makeRevocationList(trust.root, { number: 2, serials: [readSerial(choose(between))] });
    trust.write('ca.crl', revoking + makeRevocationList(between) + makeRevocationList(below));
    for (const before of [undefined, held]) {
      expect((await read(before)).revocationLists.map(({ size }) => size).sort()).toEqual([0, 0, 1]);
    }
  });
});

describe('a trial handshake refuses what the readers do not check:', () => {
  it.each<[string, () => unknown, string]>([
    [
      'an authority for servers alone',
      async () => {
        trusting([await issueAuthority({ extensions: [usage(x509.ExtendedKeyUsage.serverAuth)] })]);
      },
      'refuses every caller of "CN=Root": INVALID_PURPOSE',
    ],
    [
      'an authority with a critical extension that OpenSSL does not know',
      async () => {
        trusting([await issueAuthority({ extensions: [unknown] })]);
      },
      'refuses every caller of "CN=Root": UNSPECIFIED',
    ],
    [
      'an authority with an RSA key of 1024 bits',
      async () => {
        trusting([await issueAuthority({ key: rsa(1_024) })]);
      },
      'refuses every caller of "CN=Root": UNSPECIFIED',
    ],
    [
      'an intermediate whose root permits none',
      async () => {
        const root = await issueAuthority({ subject: 'CN=Other', pathLength: 0 });
        trusting([trust.root, root, await issueAuthority({ subject: 'CN=Between' }, root)]);
      },
      'refuses every caller of "CN=Between": PATH_LENGTH_EXCEEDED',
    ],
    [
      'an intermediate that is signed by SHA-1',
      async () => {
        trusting([trust.root, await issueAuthority({ subject: 'CN=Between', hash: 'SHA-1' }, trust.root)]);
      },
      'refuses every caller of "CN=Between": UNSPECIFIED',
    ],
  ])('%s', async (_, change, told) => {
    const held = await read();
    await change();
    for (const before of [undefined, held]) await expect(read(before)).rejects.toThrow(told);
  });
});

describe('a trial handshake refuses what the readers refuse:', () => {
  const handshake = async (listed: [Issued, ListProfile][]): Promise<void> => {
    const authorities = listed.map(([by, profile]) => ({
      authority: by.certificate,
      list: { der: encodeList(by, { serials: ['0102'], ...profile }) } as RevocationList,
    }));
    const [cert, key] = [Buffer.from(trust.server.pem), Buffer.from(exportKey(trust.server))];
    await tryHandshakes({ authorities, otherLists: [], mustServe: authorities }, { cert, key });
  };

  it.each<[string, ListProfile]>([
    [
      'a distribution point that is not critical',
      { extensions: [encodeExtension('551d1c', encodeElement(0x30, encodeElement(0x82, Buffer.from([0xff]))))] },
    ],
    [
      'a delta indicator that is not critical',
      { extensions: [encodeExtension('551d1b', encodeElement(0x02, Buffer.from([1])))] },
    ],
    ['another key as its authority’s', { extensions: [encodeAuthorityKeyIdentifier({ keyId: '0a0c' })] }],
    ['a critical extension in an entry', { entryExtensions: [encodeExtension('2b0601', encodeElement(0x05), true)] }],
    ['a time to come', { thisUpdate: new Date(Date.now() + 60_000) }],
  ])('a list with %s', async (_, profile) => {
    const identified = await issueIdentifiedAuthority('0a0b');
    await expect(handshake([[identified, profile]])).rejects.toThrow('OpenSSL refuses every caller of "CN=Root": ');
    await expect(handshake([[identified, {}]])).resolves.toBeUndefined();
  });

  it('a list with the certificate that its authority had before', async () => {
    const renewed = await issueAuthority({ keys: trust.root.keys });
    const naming = (of: Issued): ListProfile => ({ extensions: [encodeAuthorityKeyIdentifier({ of })] });
    await expect(handshake([[renewed, naming(trust.root)]])).rejects.toThrow('UNABLE_TO_GET_CRL');
    await expect(handshake([[renewed, naming(renewed)]])).resolves.toBeUndefined();
  });

  it('lists of two authorities of one name that lack key identifiers', async () => {
    const [one, two] = [await issueIdentifiedAuthority('01'), await issueIdentifiedAuthority('02')];
    await expect(
      handshake([
        [one, {}],
        [two, {}],
      ]),
    ).rejects.toThrow('CRL_SIGNATURE_FAILURE');
    const of = (keyId: string): ListProfile => ({ extensions: [encodeAuthorityKeyIdentifier({ keyId })] });
    await expect(
      handshake([
        [one, of('01')],
        [two, of('02')],
      ]),
    ).resolves.toBeUndefined();
  });
});

describe('a trial handshake', () => {
  it('shows what the service shows, so the service’s own certificate must serve TLS 1.3', async () => {
    const own = await issueServer(trust.root, { key: rsa(1_024) });
    trust.write('server.crt', own.pem);
    trust.write('server.key', exportKey(own));
    await expect(read()).rejects.toThrow('PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ');
  });
});
