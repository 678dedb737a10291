import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { UsageError } from './command-line.js';
import { ServiceCaller } from './service/service-caller.js';

interface FileOption {
  readonly value: 'FILE';
  readonly text: string;
}

export interface ServiceOptions {
  readonly url: { readonly value: 'URL'; readonly text: string };
  readonly cert: FileOption;
  readonly 'cert-key': FileOption;
  readonly ca: FileOption;
}

/** The options of a program that calls the service. @param permissions what its identity needs */
export function describeService(permissions: string): ServiceOptions {
  return {
    url: { value: 'URL', text: 'The service, such as https://passkey-manager.bank.example:8443.' },
    cert: { value: 'FILE', text: `The certificate of the identity that acts, PEM. It needs ${permissions}.` },
    'cert-key': { value: 'FILE', text: 'The private key of the certificate, PEM.' },
    ca: { value: 'FILE', text: 'The authorities that the certificate of the service may lead to, PEM.' },
  };
}

type Given = Readonly<Record<keyof ServiceOptions, string | undefined>>;

/** @throws UsageError, Error that names a file */
export function openService({ url, cert, 'cert-key': key, ca }: Given): ServiceCaller {
  if (url === undefined || cert === undefined || key === undefined || ca === undefined)
    throw new UsageError('Give --url, --cert, --cert-key and --ca.');
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:') throw new UsageError('--url is not an https URL.');
  const files = { cert: read('--cert', cert), key: read('--cert-key', key), ca: read('--ca', ca) };
  if (!belongTogether(files))
    throw new Error(`--cert ${cert} and --cert-key ${key} do not belong together: give the key of that certificate`);
  return new ServiceCaller(new URL(url), files);
}

function read(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(code === 'ENOENT' ? `${option}: there is no file ${path}` : `${option}: ${message}`, {
      cause: error,
    });
  }
}

/** @throws Error if one of them is none */
function belongTogether({ cert, key }: { readonly cert: Buffer; readonly key: Buffer }): boolean {
  const parse = <Parsed>(what: string, read: () => Parsed): Parsed => {
    try {
      return read();
    } catch (error) {
      throw new Error(`${what} in PEM, or is encrypted`, { cause: error });
    }
  };
  const certificate = parse('--cert holds no certificate', () => new X509Certificate(cert));
  return certificate.checkPrivateKey(parse('--cert-key holds no private key', () => createPrivateKey(key)));
}
