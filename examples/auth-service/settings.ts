import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PasskeyManager } from '@passkey-manager/client';

export const dataDir = resolve(process.env['PASSKEY_DATA_DIR'] ?? '.data');

export const port = Number(process.env['AUTH_SERVICE_PORT'] ?? 3000);
const shopPort = Number(process.env['SHOP_PORT'] ?? 3001);
/** A name that browsers resolve to this machine: localhost, or one below it. */
const host = process.env['AUTH_SERVICE_HOST'] ?? 'localhost';
/** The origin of the page in the browser. Sign-ins and passkeys work only here. */
export const origin = `http://${host}:${String(port)}`;
/** The shop, another company whose payments users confirm with their passkeys. Its name is the audience of its receipts. */
export const shop = {
  name: 'Corner Shop',
  audience: 'https://shop.example',
  port: shopPort,
  origin: `http://localhost:${String(shopPort)}`,
  /** By this the shop's server proves that it is the shop. If it is undefined, auth-service has no shop. */
  key: process.env['SHOP_KEY'],
};
/** The relying party; by default Passkey Manager's development one. */
export const rpId = process.env['AUTH_SERVICE_RP_ID'] ?? 'localhost';
/** The relying party that it succeeds: users may have a passkey there, and are asked for a new one. undefined: none. */
export const formerRpId = process.env['AUTH_SERVICE_FORMER_RP_ID'];
export const accountsFile = join(dataDir, 'auth-service', 'accounts.json');
const passkeyManagerUrl = process.env['PASSKEY_URL'] ?? 'https://localhost:8443';

/** @param identity a name in the development PKI; a real service has one identity, which its platform issues */
export function connectAs(identity: 'auth-service' | 'auditor' | 'operator', url = passkeyManagerUrl): PasskeyManager {
  const file = (name: string) => join(dataDir, 'pki', name);
  if (!existsSync(file(`${identity}.crt`))) {
    throw new Error(
      `There is no ${file(`${identity}.crt`)}. Start Passkey Manager first: it creates the development certificates.`,
    );
  }
  return new PasskeyManager({
    url,
    certFile: file(`${identity}.crt`),
    keyFile: file(`${identity}.key`),
    caFile: file('ca.crt'),
  });
}
