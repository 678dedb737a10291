import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PasskeyManager } from '../../clients/typescript/client.ts';

export const dataDir = resolve(process.env['PASSKEY_DATA_DIR'] ?? '.data');

export const port = Number(process.env['AUTH_SERVICE_PORT'] ?? 3000);
/** What the browser says it is at: sign-ins and passkeys work here and nowhere else. */
export const origin = `http://localhost:${String(port)}`;
/** The relying party that Passkey Manager has in development. */
export const rpId = 'localhost';
export const accountsFile = join(dataDir, 'auth-service', 'accounts.json');
const passkeyManagerUrl = process.env['PASSKEY_URL'] ?? 'https://localhost:8443';

/** @param identity a name of the development PKI; a real service has one identity, issued by its platform */
export function connectAs(identity: 'auth-service' | 'auditor' | 'operator', url = passkeyManagerUrl): PasskeyManager {
  const file = (name: string) => join(dataDir, 'pki', name);
  if (!existsSync(file(`${identity}.crt`))) {
    throw new Error(
      `There is no ${file(`${identity}.crt`)}. Start Passkey Manager first: it makes the development certificates.`,
    );
  }
  return new PasskeyManager({
    url,
    certFile: file(`${identity}.crt`),
    keyFile: file(`${identity}.key`),
    caFile: file('ca.crt'),
  });
}
