import 'reflect-metadata';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { KeyUsageFlags } from '@peculiar/x509';
import type { Issued, KeyAlgorithm } from '../../test/support/authenticator/certificate-chain.js';
import { type ListProfile, makeRevocationList } from '../../test/support/revocation-lists.js';
import { issueAuthority, exportKey, issueServer, TrustFiles } from '../../test/support/trust-files.js';
import type { TlsFiles } from '../config/config.js';
import { describeTrust } from './listener-trust.js';
import { readTrustMaterial, type TrustMaterial, listTrustFiles } from './trust-material.js';

let trust: TrustFiles;
beforeEach(async () => {
  trust = await TrustFiles.create();
});
afterEach(() => {
  trust.remove();
});

const makeList = (profile: ListProfile = {}, by: Issued = trust.root): string => makeRevocationList(by, profile);

describe('without required revocation lists', () => {
  const lists = { crlFile: undefined, shortLivedHours: 24 };
  const readShortLived = (changed: Partial<TlsFiles> = {}, held?: TrustMaterial): Promise<TrustMaterial> =>
    readTrustMaterial({ ...trust.files, ...lists, ...changed }, new Date(), held);

  it('the material has none, and OpenSSL gets none', async () => {
    const material = await readShortLived();
    expect(material).toMatchObject({ revocationLists: [], shortLivedHours: 24, context: { crl: undefined } });
    expect(describeTrust(material)).toMatchObject({ revocation_lists: [], short_lived_hours: 24 });
  });

  it.each<[string, KeyAlgorithm]>([
    ['P-384', { name: 'ECDSA', namedCurve: 'P-384' }],
    ['Ed25519', { name: 'Ed25519' }],
    [
      'RSA',
      { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), hash: 'SHA-256' },
    ],
  ])('an authority with a key of the kind %s is tried', async (_, key) => {
    const authority = await issueAuthority({ subject: 'CN=Kind', key });
    trust.write('ca.crt', authority.pem);
    expect((await readShortLived()).authorities.map(({ subject }) => subject)).toEqual(['CN=Kind']);
  });

  it('an authority need not be able to sign lists, as Istio’s cannot', async () => {
    const authority = await issueAuthority({ subject: 'CN=Istio', keyUsage: KeyUsageFlags.keyCertSign });
    trust.write('ca.crt', authority.pem);
    expect((await readShortLived()).authorities).toHaveLength(1);
    trust.write('ca.crl', makeList({}, authority));
    const refusal = 'PASSKEY_TLS_CRL_FILE: "CN=Istio" may not sign revocation lists';
    await expect(readShortLived({ crlFile: trust.files.crlFile })).rejects.toThrow(refusal);
  });

  it('one authority may have a list and another none', async () => {
    const other = await issueAuthority({ subject: 'CN=Other' });
    trust.write('ca.crt', trust.root.pem + other.pem);
    const material = await readShortLived({ crlFile: trust.files.crlFile });
    expect(material.authorities).toHaveLength(2);
    expect(material.revocationLists).toMatchObject([{ number: 1n }]);
    expect(material.context.crl).toBeUndefined();
  });

  it('a list that is there must be good, and must not go away while the service runs', async () => {
    const crlFile = trust.files.crlFile;
    const held = await readShortLived({ crlFile });
    const other = await issueAuthority({ subject: 'CN=Other' });
    trust.write('ca.crt', trust.root.pem + other.pem);
    trust.write('ca.crl', makeList({}, other));
    await expect(readShortLived({ crlFile }, held)).rejects.toThrow('the list of "CN=Root" is missing');
    trust.write('ca.crl', makeList({ thisUpdate: new Date(0), nextUpdate: new Date(1_000) }));
    await expect(readShortLived({ crlFile })).rejects.toThrow('the list of "CN=Root" ended on');
    trust.write('ca.crl', 'nothing');
    await expect(readShortLived({ crlFile })).rejects.toThrow('PASSKEY_TLS_CRL_FILE: holds no revocation list');
  });
});

describe('one file with the key and the certificates', () => {
  const bundle = (key: string, ...certificates: string[]): TlsFiles => {
    trust.write('bundle.pem', [key, ...certificates].join(''));
    return { ...trust.files, certFile: trust.path('bundle.pem'), keyFile: trust.path('bundle.pem') };
  };

  it('gives both, and the chain', async () => {
    const files = bundle(exportKey(trust.server), trust.server.pem, trust.root.pem);
    const { context, certificate, digest } = await readTrustMaterial(files, new Date());
    expect(certificate.subject).toBe('CN=localhost');
    expect(context.key.toString()).not.toContain('CERTIFICATE');
    expect(context.cert.toString()).toBe(trust.server.pem + trust.root.pem);
    expect(listTrustFiles(files)).toEqual([trust.path('bundle.pem'), trust.files.caFile, trust.files.crlFile]);
    trust.write('server.crt', trust.server.pem + trust.root.pem);
    expect((await readTrustMaterial(trust.files, new Date())).digest).toBe(digest);
  });

  it('is refused without a key, without a certificate, and with the key of another one', async () => {
    const stranger = await issueServer(trust.root);
    for (const [key, certificate, told] of [
      ['', trust.server.pem, 'PASSKEY_TLS_KEY_FILE: holds no private key (PEM)'],
      [exportKey(trust.server), '', 'PASSKEY_TLS_CERT_FILE: holds no certificate (PEM)'],
      [exportKey(stranger), trust.server.pem, 'PASSKEY_TLS_KEY_FILE: is the key of another certificate'],
    ] as const) {
      await expect(readTrustMaterial(bundle(key, certificate), new Date())).rejects.toThrow(told);
    }
  });
});
