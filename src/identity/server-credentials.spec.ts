import 'reflect-metadata';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { issue, type Issued } from '../../test/support/authenticator/certificate-chain.js';
import { issueAuthority, exportKey, issueServer } from '../../test/support/trust-files.js';
import { readServerCertificate } from './server-credentials.js';
import { TrustMaterialError } from './trust-material-error.js';

const NOW = new Date();
const PASSPHRASE = 'correct horse battery';
const minutes = (count: number): Date => new Date(NOW.getTime() + count * 60_000);

let root: Issued;
let issued: Issued;
beforeAll(async () => {
  root = await issueAuthority();
  issued = await issueServer(root);
});

const read = (cert: string, key: string, passphrase?: string, held?: Issued): string =>
  readServerCertificate({ cert: Buffer.from(cert), key: Buffer.from(key), passphrase }, NOW, held?.certificate).subject;

const encrypted = (type: 'pkcs8' | 'sec1' = 'pkcs8'): string =>
  issued.privateKey.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: PASSPHRASE });

describe('the service’s certificate', () => {
  it('is the first one in the file, and its own authorities follow', () => {
    expect(read(issued.pem + root.pem, exportKey(issued))).toBe('CN=localhost');
    expect(() => read(root.pem + issued.pem, exportKey(issued))).toThrow('KEY_FILE: is the key of another certificate');
  });

  it('may serve callers by its extended key usage, or because it has none', async () => {
    const unlimited = await issue({ subject: 'CN=any' }, root);
    expect(read(unlimited.pem, exportKey(unlimited))).toBe('CN=any');
  });

  it.each([
    [0, 'CN=localhost'],
    [4, 'CN=localhost'],
    [6, 'the certificate begins on'],
  ])('may begin in %p minutes, because the authority’s clock may be ahead', async (begins, told) => {
    const young = await issueServer(root, { notBefore: minutes(begins), notAfter: minutes(60) });
    if (told.startsWith('CN')) expect(read(young.pem, exportKey(young))).toBe(told);
    else expect(() => read(young.pem, exportKey(young))).toThrow(`PASSKEY_TLS_CERT_FILE: ${told}`);
  });

  it('is valid from its first second, which the skew moves forward, to its last', () => {
    const { validFromDate, validToDate } = issued.certificate;
    const at = (time: Date): string =>
      readServerCertificate({ cert: Buffer.from(issued.pem), key: Buffer.from(exportKey(issued)) }, time).subject;
    expect(at(validToDate)).toBe('CN=localhost');
    expect(() => at(new Date(validToDate.getTime() + 1))).toThrow('the certificate ended on');
    expect(at(new Date(validFromDate.getTime() - 300_000))).toBe('CN=localhost');
    expect(() => at(new Date(validFromDate.getTime() - 300_001))).toThrow('the certificate begins on');
  });

  it('must not have ended, unless it is the current one, which must not keep a revocation list out', async () => {
    const old = await issueServer(root, { notAfter: minutes(-1) });
    expect(() => read(old.pem, exportKey(old))).toThrow('PASSKEY_TLS_CERT_FILE: the certificate ended on');
    expect(() => read(old.pem, exportKey(old), undefined, issued)).toThrow(
      'PASSKEY_TLS_CERT_FILE: the certificate ended',
    );
    expect(read(old.pem, exportKey(old), undefined, old)).toBe('CN=localhost');
  });
});

describe('the service’s key', () => {
  it.each(['pkcs8', 'sec1'] as const)('may be encrypted (%s)', (type) => {
    expect(encrypted(type)).toContain('ENCRYPTED');
    expect(read(issued.pem, encrypted(type), PASSPHRASE)).toBe('CN=localhost');
  });

  it('that is not encrypted needs no passphrase, and may have one', () => {
    expect(read(issued.pem, exportKey(issued), PASSPHRASE)).toBe('CN=localhost');
  });

  it.each([
    ['without a passphrase', undefined, 'KEY_FILE: is encrypted: PASSKEY_TLS_KEY_PASSPHRASE_FILE names its passphrase'],
    ['with another one', 'incorrect horse', 'KEY_PASSPHRASE_FILE: does not open the key'],
    ['with an empty one', '', 'KEY_PASSPHRASE_FILE: does not open the key'],
    ['with one of two lines', `${PASSPHRASE}\n`, 'KEY_PASSPHRASE_FILE: does not open the key'],
  ])('that is encrypted is refused %s', (_, passphrase, told) => {
    for (const type of ['pkcs8', 'sec1'] as const) {
      expect(() => read(issued.pem, encrypted(type), passphrase)).toThrow(`PASSKEY_TLS_${told}`);
    }
  });

  it('is never shown, and neither is its passphrase, whatever is wrong', () => {
    const secrets = [...exportKey(issued).split('\n'), ...encrypted().split('\n'), PASSPHRASE, 'incorrect horse'];
    const broken = [exportKey(issued).slice(0, 150), exportKey(issued).replace('MI', 'AA'), encrypted().slice(0, 200)];
    for (const key of [...broken, encrypted()]) {
      for (const passphrase of [undefined, PASSPHRASE, 'incorrect horse']) {
        const message = catchMessage(() => read(issued.pem, key, passphrase));
        expect(
          secrets.filter(
            (secret) => !secret.startsWith('-----') && secret.length > 5 && message.includes(secret.slice(0, 20)),
          ),
        ).toEqual([]);
      }
    }
  });
});

function catchMessage(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    expect(error).toBeInstanceOf(TrustMaterialError);
    return String(error);
  }
}
