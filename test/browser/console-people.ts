import 'reflect-metadata';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import * as x509 from '@peculiar/x509';
import type { PasskeyManager, PasskeyProblem } from '@passkey-manager/client';
import type { ConsoleStage } from './console-stage.ts';

const TRUST_DOMAIN = 'passkey-manager.local';
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** An identity of the policy, and what it may do. */
export interface Person {
  readonly name: string;
  readonly permissions: readonly string[];
}

/** Gives people certificates of the stage's authority, and makes their permissions the access policy of its service. */
export async function employ(
  stage: ConsoleStage,
  people: readonly Person[],
  approvals: readonly string[] = [],
): Promise<void> {
  const pki = join(stage.dataDir, 'pki');
  const issuer = new x509.X509Certificate(await readFile(join(pki, 'ca.crt'), 'utf8'));
  const der = x509.PemConverter.decodeFirst(await readFile(join(pki, 'ca.key'), 'utf8'));
  const signingKey = await crypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
  for (const { name } of people) {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: `40${randomBytes(15).toString('hex')}`,
      subject: `CN=${name}`,
      issuer: issuer.subject,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 86_400_000),
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${TRUST_DOMAIN}/${name}` }]),
        await x509.AuthorityKeyIdentifierExtension.create(issuer),
      ],
    });
    const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    await writeFile(join(pki, `${name}.crt`), `${certificate.toString('pem')}\n`);
    await writeFile(join(pki, `${name}.key`), `${key}\n`, { mode: 0o600 });
  }
  await publish(stage, people, approvals);
}

/** Waits until the policy is in force. */
async function publish(stage: ConsoleStage, people: readonly Person[], approvals: readonly string[]): Promise<void> {
  const services = people.map(({ name, permissions }) => ({ id: `spiffe://${TRUST_DOMAIN}/${name}`, permissions }));
  const policy = {
    version: 1,
    trustDomain: TRUST_DOMAIN,
    services,
    ...(approvals.length && { approvals: { permissions: approvals } }),
  };
  const file = join(stage.dataDir, 'access-policy.yaml');
  // JSON is YAML. The file is replaced whole, as an operator does it.
  await writeFile(`${file}.new`, JSON.stringify(policy));
  await rename(`${file}.new`, file);
  const client = stage.connectAs(people[0]!.name);
  for (const until = Date.now() + 20_000; Date.now() < until;) {
    const caller = await client.getCaller().catch(() => undefined);
    if (caller?.permissions.length === people[0]!.permissions.length) return;
    await sleep(100);
  }
  throw new Error('the policy is not in force');
}

/** What a test decides about a passkey; the rest is as an import has it. */
export interface ImportedPasskey {
  readonly userId: string;
  readonly name: string;
  readonly aaguid?: string;
  readonly backupEligible?: boolean;
  readonly backedUp?: boolean;
  readonly userVerified?: boolean;
  readonly lastUsedAt?: string;
  readonly createdAt?: string;
  readonly discoverable?: boolean;
  readonly status?: 'active' | 'suspended' | 'revoked';
  readonly statusReason?: string;
}

/** Moves passkeys in, and returns their credential ids. */
export async function importPasskeys(
  client: PasskeyManager,
  rpId: string,
  passkeys: readonly ImportedPasskey[],
): Promise<string[]> {
  const ids = passkeys.map(() => randomBytes(16).toString('base64url'));
  const lines = passkeys.map((passkey, at) => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = publicKey.export({ format: 'jwk' });
    const own = { userVerified: true, discoverable: true, backupEligible: true, backedUp: true };
    const line = { credentialId: ids[at], publicKey: jwk, signCount: 0, source: 'a test', ...own, ...passkey };
    return `${JSON.stringify(line)}\n`;
  });
  const verdicts = await text(await client.importCredentials(Readable.from(lines), { rpId }));
  if (/"verdict":"(?!imported)/.test(verdicts)) throw new Error(verdicts);
  return ids;
}

/** Answers a challenge for a user with a passkey that has not signed it. @returns the reason of the refusal */
export async function failToSignIn(
  client: PasskeyManager,
  rpId: string,
  userId: string,
  credentialId: string,
): Promise<string> {
  const { challengeId } = await client.issueAuthenticationChallenge({ rpId, userId });
  const response = {
    ...{ id: credentialId, rawId: credentialId, type: 'public-key' as const, clientExtensionResults: {} },
    response: { clientDataJSON: 'e30', authenticatorData: 'AAAA', signature: 'AAAA' },
  };
  return client.verifyAuthentication({ challengeId, response }).then(
    () => 'accepted',
    (error: unknown) => (error as PasskeyProblem).reason ?? String(error),
  );
}
