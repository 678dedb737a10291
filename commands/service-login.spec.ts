import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { prepareDevelopment } from '../dev/prepare-development.js';
import { openService } from './service-login.js';

const directory = mkdtempSync(join(tmpdir(), 'passkey-login-'));
const pki = (name: string): string => join(directory, 'pki', name);
const url = 'https://localhost:8443';
beforeAll(async () => {
  await prepareDevelopment(directory);
  writeFileSync(join(directory, 'no.pem'), 'nothing');
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('the certificate and the key of a program', () => {
  const own = () => ({ url, cert: pki('operator.crt'), 'cert-key': pki('operator.key'), ca: pki('ca.crt') });

  it('are taken when they belong together', () => {
    openService(own()).close();
  });

  it.each<[string, () => object, RegExp]>([
    [
      'those of two identities',
      () => ({ 'cert-key': pki('auditor.key') }),
      /do not belong together: give the key of that certificate$/,
    ],
    ['a file that is missing', () => ({ ca: pki('nowhere.crt') }), /^--ca: there is no file .*nowhere\.crt$/],
    ['no certificate', () => ({ cert: join(directory, 'no.pem') }), /^--cert holds no certificate in PEM/],
    ['no key', () => ({ 'cert-key': join(directory, 'no.pem') }), /^--cert-key holds no private key in PEM/],
  ])('are refused in one sentence: %s', (_, changed, message) => {
    expect(() => openService({ ...own(), ...changed() })).toThrow(message);
  });
});
