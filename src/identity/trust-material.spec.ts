import 'reflect-metadata';
import { mkdirSync, rmSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ExtendedKeyUsage, KeyUsageFlags } from '@peculiar/x509';
import { issue, type Issued } from '../../test/support/authenticator/certificate-chain.js';
import { type ListProfile, makeRevocationList } from '../../test/support/revocation-lists.js';
import { issueAuthority, exportKey, issueServer, TrustFiles } from '../../test/support/trust-files.js';
import { readPemBlocks } from '../x509/pem.js';
import { parseRevocationLists } from '../x509/revocation-list.js';
import { readTrustMaterial, type TrustMaterial, listTrustFiles } from './trust-material.js';
import { TrustMaterialError } from './trust-material-error.js';

let trust: TrustFiles;
beforeEach(async () => {
  trust = await TrustFiles.create();
});
afterEach(() => {
  trust.remove();
});

const read = (held?: TrustMaterial, now = new Date()): Promise<TrustMaterial> =>
  readTrustMaterial(trust.files, now, held);
const list = (profile: ListProfile = {}, by: Issued = trust.root): string => makeRevocationList(by, profile);

async function mistake(held?: TrustMaterial, now?: Date): Promise<string> {
  const error: unknown = await read(held, now).then(
    () => 'none',
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(TrustMaterialError);
  return (error as Error).message;
}

describe('the trust material', () => {
  it('has the content of the files', async () => {
    const material = await read();
    expect(material.certificate.subject).toBe('CN=localhost');
    expect(material.authorities.map(({ subject }) => subject)).toEqual(['CN=Root']);
    expect(material.revocationLists).toMatchObject([{ number: 1n, size: 0 }]);
    expect(material.digest).toMatch(/^[0-9a-f]{64}$/);
    expect(material.context).toMatchObject({ minVersion: 'TLSv1.3', passphrase: undefined });
    expect(String(material.context.crl)).toContain('X509 CRL');
  });

  it('comes from these files', () => {
    const { certFile, keyFile, caFile, crlFile } = trust.files;
    expect(listTrustFiles(trust.files)).toStrictEqual([certFile, keyFile, caFile, crlFile]);
    expect(listTrustFiles({ ...trust.files, keyPassphraseFile: 'p' })).toEqual([
      certFile,
      keyFile,
      caFile,
      crlFile,
      'p',
    ]);
  });

  it('is returned again when the files say the same', async () => {
    const held = await read();
    expect(await read(held)).toBe(held);
  });

  it.each<[string, () => unknown]>([
    [
      'revocation list',
      () => {
        trust.revoke({ number: 2 });
      },
    ],
    [
      'authority',
      async () => {
        const other = await issueAuthority({ subject: 'CN=Other' });
        trust.write('ca.crt', trust.root.pem + other.pem);
        trust.write('ca.crl', list() + list({}, other));
      },
    ],
    [
      'server certificate and key',
      async () => {
        const renewed = await issueServer(trust.root);
        trust.write('server.crt', renewed.pem);
        trust.write('server.key', exportKey(renewed));
      },
    ],
    [
      'way to write the key',
      () => {
        trust.write('server.key', `\n${exportKey(trust.server)}`);
      },
    ],
    [
      'place of an intermediate',
      async () => {
        const between = await issueAuthority({ subject: 'CN=Between' }, trust.root);
        trust.write('ca.crl', list() + list({}, between));
        trust.write('server.crt', trust.server.pem + between.pem);
        trust.write('server.crt', trust.server.pem);
        trust.write('ca.crt', between.pem + trust.root.pem);
      },
    ],
  ])('is a new one with another %s', async (_, change) => {
    const held = await read();
    await change();
    expect(await read(held)).not.toBe(held);
  });

  it('differs when the same text is in another file', async () => {
    const between = await issueAuthority({ subject: 'CN=Between' }, trust.root);
    trust.write('ca.crl', list() + list({}, between));
    trust.write('server.crt', trust.server.pem + between.pem);
    const held = await read();
    trust.write('server.crt', trust.server.pem);
    trust.write('ca.crt', between.pem + trust.root.pem);
    const moved = await read(held);
    expect([moved.digest === held.digest, moved.authorities.length]).toEqual([false, 2]);
  });
});

describe('OpenSSL gets', () => {
  it('the validated certificates and lists, and nothing else', async () => {
    const other = await issueAuthority({ subject: 'CN=Other' });
    trust.write('ca.crt', `a remark\n${trust.root.pem}${other.pem}`);
    trust.write('ca.crl', `${list({ number: 1 })}a remark\n${list({ number: 2 })}${list({}, other)}`);
    const { context } = await read();
    expect(String(context.ca)).toBe(`${String(trust.root.certificate)}${String(other.certificate)}`);
    expect(
      readPemBlocks(String(context.crl), 'X509 CRL')
        .map(({ text }) => `${text}\n`)
        .join(''),
    ).toBe(String(context.crl));
    expect((await parseRevocationLists(String(context.crl))).map(({ number }) => number)).toEqual([2n, 1n]);
  });

  it('no list that it cannot parse, at the start and in operation', async () => {
    const held = await read();
    trust.write('ca.crl', list({ number: 2, serials: ['0001'] }));
    const told = /^PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: .*Failed to parse CRL/;
    expect(await mistake()).toMatch(told);
    expect(await mistake(held)).toMatch(told);
  });
});

describe('the passphrase of the key', () => {
  const PASSPHRASE = 'correct horse\nbattery';
  const reading = (passphrase: string, held?: TrustMaterial): Promise<TrustMaterial> => {
    trust.write('passphrase', passphrase);
    return readTrustMaterial({ ...trust.files, keyPassphraseFile: trust.path('passphrase') }, new Date(), held);
  };
  const encrypt = (): void => {
    const cipher = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE };
    trust.write('server.key', trust.server.privateKey.export({ type: 'pkcs8', format: 'pem', ...cipher }));
  };

  it.each(['', '\n', '\r\n'])('is the content of its file without the end of its last line (%j)', async (end) => {
    encrypt();
    expect((await reading(PASSPHRASE + end)).context.passphrase).toBe(PASSPHRASE);
  });

  it('is refused when it does not open the key, or is missing', async () => {
    encrypt();
    await expect(reading(`${PASSPHRASE}\n\n`)).rejects.toThrow(
      'PASSKEY_TLS_KEY_PASSPHRASE_FILE: does not open the key',
    );
    const files = { ...trust.files, keyPassphraseFile: trust.path('nowhere') };
    await expect(readTrustMaterial(files, new Date())).rejects.toThrow('PASSKEY_TLS_KEY_PASSPHRASE_FILE: ENOENT');
  });

  it('makes another trust material when it differs', async () => {
    const held = await reading('one');
    expect(await reading('one\n', held)).toBe(held);
    expect(await reading('two', held)).not.toBe(held);
  });
});

describe('a file that cannot be used is named with the mistake:', () => {
  const written = (name: string, content: () => Promise<string> | string) => async (): Promise<void> => {
    trust.write(name, await content());
  };
  const PAST = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2026-01-02T03:04:05Z') };
  const FUTURE = { notBefore: new Date('2999-01-02T03:04:05Z'), notAfter: new Date('2999-01-03T00:00:00Z') };
  const other = (): Promise<Issued> => issueAuthority({ subject: 'CN=Other' });

  it.each<[string, () => unknown, string]>([
    [
      'a certificate that is not there',
      () => {
        rmSync(trust.files.certFile);
      },
      'CERT_FILE: ENOENT',
    ],
    [
      'an authority that is not there',
      () => {
        rmSync(trust.files.caFile);
      },
      'CA_FILE: ENOENT',
    ],
    [
      'a directory',
      () => {
        rmSync(trust.files.keyFile);
        mkdirSync(trust.files.keyFile);
      },
      'KEY_FILE: is not a file',
    ],
    [
      'a file of more than 32 MiB',
      () => {
        truncateSync(trust.files.crlFile, 33_554_433);
      },
      'CRL_FILE: is larger than 33554432 bytes',
    ],
    [
      'a certificate file without a certificate',
      written('server.crt', () => 'nothing'),
      'CERT_FILE: holds no certificate (PEM)',
    ],
    [
      'a key for a certificate',
      written('server.crt', () => exportKey(trust.server)),
      'CERT_FILE: holds no certificate (PEM)',
    ],
    [
      'half a certificate',
      written('server.crt', () => trust.server.pem.slice(0, 100)),
      'CERT_FILE: holds a certificate that cannot be parsed',
    ],
    [
      'a broken certificate',
      written('server.crt', () => trust.server.pem.replace('MII', 'AAA')),
      'CERT_FILE: holds a certificate that cannot be parsed',
    ],
    [
      'a certificate for callers only',
      written(
        'server.crt',
        async () => (await issueServer(trust.root, { keys: trust.server.keys }, ExtendedKeyUsage.clientAuth)).pem,
      ),
      'CERT_FILE: extended key usage lacks serverAuth',
    ],
    [
      'a certificate that has ended',
      written('server.crt', async () => (await issueServer(trust.root, { keys: trust.server.keys, ...PAST })).pem),
      'CERT_FILE: the certificate ended on 2026-01-02T03:04:05.000Z',
    ],
    [
      'a certificate that has not begun',
      written('server.crt', async () => (await issueServer(trust.root, { keys: trust.server.keys, ...FUTURE })).pem),
      'CERT_FILE: the certificate begins on 2999-01-02T03:04:05.000Z',
    ],
    [
      'a key of another certificate',
      written('server.key', async () => exportKey(await other())),
      'KEY_FILE: is the key of another certificate',
    ],
    [
      'a key of another kind',
      written('server.key', async () => exportKey(await issue({ key: { name: 'Ed25519' } }))),
      'KEY_FILE: is the key of another certificate',
    ],
    ['a certificate for a key', written('server.key', () => trust.server.pem), 'KEY_FILE: holds no private key (PEM)'],
    [
      'half a key',
      written('server.key', () => exportKey(trust.server).slice(0, 100)),
      'KEY_FILE: holds no private key (PEM)',
    ],
    ['a CA file without a certificate', written('ca.crt', () => list()), 'CA_FILE: holds no certificate (PEM)'],
    [
      'a CA file that is cut off',
      written('ca.crt', () => trust.root.pem + trust.root.pem.slice(0, 200)),
      'CA_FILE: holds a certificate that cannot be parsed',
    ],
    [
      'authorities on one line, of which OpenSSL would take none but the first',
      written('ca.crt', () => `${trust.root.pem.trim()}${trust.root.pem}`),
      'CA_FILE: holds a certificate that cannot be parsed',
    ],
    [
      'a leaf among the authorities',
      written('ca.crt', () => trust.root.pem + trust.server.pem),
      'CA_FILE: "CN=localhost" is not a certificate authority',
    ],
    [
      'a leaf of a longer name',
      written('ca.crt', async () => (await issue({ subject: 'O=Bank, CN=leaf' }, trust.root)).pem),
      'CA_FILE: "O=Bank, CN=leaf" is not a certificate authority',
    ],
    [
      'a leaf without a name',
      written('ca.crt', async () => (await issue({ subject: '' }, trust.root)).pem),
      'CA_FILE: "" is not a certificate authority',
    ],
    [
      'an authority that may not sign lists',
      written('ca.crt', async () => (await issueAuthority({ keyUsage: KeyUsageFlags.keyCertSign })).pem),
      'CA_FILE: "CN=Root" may not sign revocation lists',
    ],
    [
      'an intermediate without its root',
      written('ca.crt', async () => (await issueAuthority({ subject: 'CN=Between' }, await other())).pem),
      'CA_FILE: "CN=Between" leads to no root in the file',
    ],
    [
      'an intermediate beside a root that goes by its root’s name',
      written(
        'ca.crt',
        async () => trust.root.pem + (await issueAuthority({ subject: 'CN=Between' }, await issueAuthority())).pem,
      ),
      'CA_FILE: "CN=Between" leads to no root in the file',
    ],
    [
      'authorities that have all ended',
      written('ca.crt', async () => (await issueAuthority({ keys: trust.root.keys, ...PAST })).pem),
      'CA_FILE: every authority has ended',
    ],
    ['a certificate for a list', written('ca.crl', () => trust.root.pem), 'CRL_FILE: holds no revocation list (PEM)'],
    [
      'a list that is cut off',
      written('ca.crl', () => list() + list().slice(0, 50)),
      'CRL_FILE: holds a list that cannot be used: it is cut off',
    ],
    [
      'a partial list',
      written('ca.crl', () => list({ critical: '551d1c' })),
      'CRL_FILE: holds a list that cannot be used: it is partial',
    ],
    [
      'an authority without a list',
      written('ca.crl', async () => list({}, await other())),
      'CRL_FILE: the list of "CN=Root" is missing',
    ],
    [
      'one of two authorities without a list',
      async () => {
        trust.write('ca.crt', trust.root.pem + (await other()).pem);
      },
      'CRL_FILE: the list of "CN=Other" is missing',
    ],
    [
      'a list by another authority of the same name',
      written('ca.crl', async () => list({}, await issueAuthority())),
      'CRL_FILE: holds a list in the name of "CN=Root" that it has not signed',
    ],
    [
      'such a list beside the right one',
      written('ca.crl', async () => list() + list({ number: 9 }, await issueAuthority())),
      'CRL_FILE: holds a list in the name of "CN=Root" that it has not signed',
    ],
    [
      'a list that does not say when it ends',
      written('ca.crl', () => list({ nextUpdate: null })),
      'CRL_FILE: the list of "CN=Root" has no nextUpdate',
    ],
    [
      'a list that has ended',
      written('ca.crl', () => list({ nextUpdate: PAST.notAfter })),
      'CRL_FILE: the list of "CN=Root" ended on 2026-01-02T03:04:05.000Z',
    ],
    [
      'a list of the future, which OpenSSL would refuse everybody by',
      written('ca.crl', () => list({ thisUpdate: FUTURE.notBefore, nextUpdate: FUTURE.notAfter })),
      'CRL_FILE: the list of "CN=Root" begins on 2999-01-02T03:04:05.000Z',
    ],
  ])('%s', async (_, change, told) => {
    const held = await read();
    await change();
    const message = await mistake();
    expect(message).toContain(`PASSKEY_TLS_${told}`);
    expect(await mistake(held)).toBe(message);
  });
});
