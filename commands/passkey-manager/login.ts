import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PasskeyManagerOptions } from '../../clients/typescript/src/client.ts';
import { UsageError } from '../command-line.js';

export const LOGIN_ENVIRONMENT = {
  PASSKEY_MANAGER_URL: 'The service, in place of --url.',
  PASSKEY_MANAGER_CERT: 'The file of the certificate, in place of --cert.',
  PASSKEY_MANAGER_CERT_KEY: 'The file of the private key, in place of --cert-key.',
  PASSKEY_MANAGER_CA: 'The file of the authorities, in place of --ca.',
  PASSKEY_MANAGER_OUTPUT: 'table or json, in place of --output.',
  PASSKEY_MANAGER_AS:
    'In development, the identity, in place of --as. The options and variables of a certificate go before it.',
  PASSKEY_DATA_DIR: 'With --as, the directory of development that has the certificates; .data by default.',
  PASSKEY_HTTPS_PORT: 'With --as and without --url, the port of the service on this machine; 8443 by default.',
};

type Given = Readonly<Record<string, string | undefined>>;

const OPTIONS = ['url', 'cert', 'cert-key', 'ca'] as const;

/** Reads where the service is and who calls it: from options, then from the environment. @throws UsageError */
export function readLogin(values: Given, env: NodeJS.ProcessEnv): PasskeyManagerOptions {
  if (values['as'] !== undefined) return readDevelopmentLogin(values['as'], values, env);
  const [url, cert, key, ca] = OPTIONS.map(
    (name) => values[name] ?? env[`PASSKEY_MANAGER_${name.toUpperCase().replace('-', '_')}`],
  );
  const { PASSKEY_MANAGER_AS: as } = env;
  if (as !== undefined && (cert ?? key ?? ca) === undefined)
    return readDevelopmentLogin(as, url === undefined ? values : { ...values, url }, env);
  const missing = OPTIONS.filter((_, at) => [url, cert, key, ca][at] === undefined);
  if (url === undefined || cert === undefined || key === undefined || ca === undefined)
    throw new UsageError(
      `Give ${missing.map((name) => `--${name}`).join(', ')}, or set PASSKEY_MANAGER_URL and so on (--help lists them). In development --as operator is enough.`,
    );
  if (!URL.canParse(url) || new URL(url).protocol !== 'https:')
    throw new UsageError('--url must be an https URL, such as https://passkey-manager.bank.example:8443.');
  for (const [name, file] of [
    ['cert', cert],
    ['cert-key', key],
    ['ca', ca],
  ] as const)
    if (!existsSync(file)) throw new UsageError(`--${name}: there is no file ${file}.`);
  return { url, certFile: cert, keyFile: key, caFile: ca };
}

/** The files that a start in development generates. */
function readDevelopmentLogin(name: string, values: Given, env: NodeJS.ProcessEnv): PasskeyManagerOptions {
  if (!/^[a-z-]+$/.test(name)) throw new UsageError('--as is not the name of an identity.');
  if (OPTIONS.some((option) => option !== 'url' && values[option] !== undefined))
    throw new UsageError('Give --as, or --cert, --cert-key and --ca.');
  const { PASSKEY_DATA_DIR: directory = '.data', PASSKEY_HTTPS_PORT: port = '8443' } = env;
  const file = (file: string): string => join(directory, 'pki', file);
  if (!existsSync(file(`${name}.crt`)))
    throw new UsageError(
      `--as ${name}: there is no ${file(`${name}.crt`)}; PASSKEY_DATA_DIR names the directory of development.`,
    );
  const url = values['url'] ?? `https://localhost:${port}`;
  return { url, certFile: file(`${name}.crt`), keyFile: file(`${name}.key`), caFile: file('ca.crt') };
}
