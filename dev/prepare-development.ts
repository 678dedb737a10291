import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DEVELOPMENT_TRUST_DOMAIN, MARK, MARKED_BYTES } from '../src/config/development.js';
import { makeDirectory } from '../src/config/make-directory.js';
import { DevelopmentCa, isExpiringSoon } from './development-ca.js';

/*
 * This folder provides everything that only a development start needs; the image leaves it out. prepareDevelopment generates
 * the files: a PKI (development-ca.ts), an access policy and the keys. prepare.ts does the same from the command line.
 * embedded-postgres/ runs the database (embedded-postgres.ts).
 */

const IDENTITIES = ['auth-service', 'operator', 'auditor', 'stranger'] as const;

const ACCESS_POLICY = `# Callers and their permissions. The service denies all else, and checks every key and permission at boot.
version: 1
trustDomain: ${DEVELOPMENT_TRUST_DOMAIN}
services:
  - id: spiffe://${DEVELOPMENT_TRUST_DOMAIN}/auth-service
    permissions: [passkeys:register, passkeys:authenticate, passkeys:confirm, passkeys:read, passkeys:manage, payments:confirm, events:manage, events:receive]
    receiptAudiences: [https://shop.example]
  - id: spiffe://${DEVELOPMENT_TRUST_DOMAIN}/operator
    permissions: [relying-parties:read, relying-parties:write, passkeys:read, passkeys:erase, passkeys:export, passkeys:import, statistics:read]
  - id: spiffe://${DEVELOPMENT_TRUST_DOMAIN}/auditor
    permissions: [audit:read, audit:export, statistics:read]
`;

/**
 * Creates the files that a development start needs and does not find in `dataDir`: a certificate authority with its
 * CRL, a server certificate, four client identities, the access policy and the keys. It keeps existing files, but
 * renews certificates and the CRL in their last 30 days.
 *
 * @param onStep hears of a step that takes a while
 */
export async function prepareDevelopment(dataDir: string, onStep: (step: string) => void = () => {}): Promise<void> {
  await preparePki(join(dataDir, 'pki'), onStep);
  writeIfAbsent(join(dataDir, 'access-policy.yaml'), () => ACCESS_POLICY, 0o644);
  writeIfAbsent(
    join(dataDir, 'binding.key'),
    () => `${MARKED_BYTES.toString('base64')}${randomBytes(32).toString('base64')}\n`,
  );
  writeIfAbsent(join(dataDir, 'audit.key'), () =>
    [generateKeyPairSync('ed25519'), generateKeyPairSync('ml-dsa-44')].map(markPem).join(''),
  );
  writeIfAbsent(join(dataDir, 'receipt.key'), () => markPem(generateKeyPairSync('ec', { namedCurve: 'P-256' })));
  writeIfAbsent(join(dataDir, 'signal.key'), () => markPem(generateKeyPairSync('rsa', { modulusLength: 2_048 })));
}

function markPem({ privateKey }: { privateKey: KeyObject }): string {
  return `${MARK}\n${privateKey.export({ type: 'pkcs8', format: 'pem' })}`;
}

/** The files that the service reads. It does not need the keys of the CA and of callers. */
const SERVICE_FILES = [
  ...['pki/server.key', 'pki/server.crt', 'pki/ca.crl', 'pki/ca.crt'],
  ...['access-policy.yaml', 'binding.key', 'audit.key', 'receipt.key', 'signal.key'],
];

/** Copies the files that the service reads from a prepared directory to one that the service may read. */
export function copyServiceFiles(from: string, to: string): void {
  for (const name of SERVICE_FILES) {
    writeAtomically(join(to, name), readFileSync(join(from, name), 'utf8'), name.endsWith('.key') ? 0o600 : 0o644);
  }
}

/**
 * Removes a certificate before it replaces the key, and writes the new certificate last. So if a start is killed
 * half-way, the certificate is missing and the next start makes the pair again.
 */
async function preparePki(directory: string, onStep: (step: string) => void): Promise<void> {
  const path = (name: string): string => join(directory, name);
  const renew =
    !existsSync(path('ca.crt')) || !existsSync(path('ca.key')) || isExpiringSoon(readFileSync(path('ca.crt')));
  if (renew) onStep(`Making certificates and keys in ${directory}`);
  const ca = renew
    ? await DevelopmentCa.create()
    : await DevelopmentCa.load(readFileSync(path('ca.crt'), 'utf8'), readFileSync(path('ca.key'), 'utf8'));
  if (renew) {
    rmSync(path('ca.crt'), { force: true });
    writeAtomically(path('ca.key'), ca.keyPem);
  }
  if (renew || !existsSync(path('ca.crl')) || ca.isCrlExpiringSoon(readFileSync(path('ca.crl'), 'utf8'))) {
    writeAtomically(path('ca.crl'), await ca.issueRevocationList(), 0o644);
  }
  for (const name of ['server', ...IDENTITIES]) {
    const [crt, key] = [path(`${name}.crt`), path(`${name}.key`)];
    if (!renew && existsSync(crt) && existsSync(key) && !isExpiringSoon(readFileSync(crt))) continue;
    const leaf =
      name === 'server'
        ? await ca.issueServer()
        : await ca.issueService(`spiffe://${DEVELOPMENT_TRUST_DOMAIN}/${name}`);
    rmSync(crt, { force: true });
    writeAtomically(key, leaf.keyPem);
    writeAtomically(crt, leaf.certificatePem, 0o644);
  }
  if (renew) writeAtomically(path('ca.crt'), ca.certificatePem, 0o644);
}

function writeIfAbsent(path: string, make: () => string, mode = 0o600): void {
  if (!existsSync(path)) writeAtomically(path, make(), mode);
}

/** Writes a file whole or not at all, so that a start that is killed leaves nothing half-written. */
function writeAtomically(path: string, content: string, mode = 0o600): void {
  makeDirectory(dirname(path));
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
}
