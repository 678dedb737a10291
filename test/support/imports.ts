import { randomBytes } from 'node:crypto';
import type { CredentialLineDto } from '../../src/portability/dto/credential-line.dto.js';
import type { Authenticator } from './authenticator/authenticator.js';
import { takePooledKey } from './authenticator/keys.js';
import { requireStatus } from './ceremonies.js';
import type { Client } from './client.js';

/** A line is a plain object here. */
export type CredentialLine = Pick<CredentialLineDto, keyof CredentialLineDto>;

export interface ImportVerdict {
  readonly line: number;
  readonly credentialId: string | null;
  readonly verdict: string;
  readonly problem?: {
    readonly type: string;
    readonly reason?: string;
    readonly invalid?: { readonly pointer: string }[];
  };
}

export interface ImportSummary {
  readonly counts: Readonly<Record<string, number>>;
  readonly nextLine: number;
  readonly dryRun: boolean;
  readonly complete: boolean;
  readonly problem?: { readonly type: string };
  readonly export?: { readonly state: string; readonly detail?: string };
}

export interface ImportAnswer {
  readonly verdicts: ImportVerdict[];
  readonly summary: ImportSummary;
}

/** Gives an authenticator a passkey that another service has registered, and makes its line. */
export function movePasskey(
  authenticator: Authenticator,
  rpId: string,
  userId: string,
  changed: Partial<CredentialLine> = {},
  userHandle: Buffer = randomBytes(16),
): CredentialLine {
  const [id, key] = [randomBytes(32), takePooledKey('ES256')];
  authenticator.passkeys.push({ id, rpId, userHandle, key, signCount: 0 });
  return {
    credentialId: id.toString('base64url'),
    userId,
    userHandle: userHandle.toString('base64url'),
    publicKey: key.cose.toString('base64url'),
    signCount: 0,
    backupEligible: true,
    source: 'old service',
    ...changed,
  };
}

export const encodeLines = (lines: readonly unknown[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('');

export function readAnswer(text: string): ImportAnswer {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  return { verdicts: lines.slice(0, -1) as ImportVerdict[], summary: lines.at(-1) as ImportSummary };
}

/** Imports lines as the operator, who sends all of them at once. */
export async function importLines(
  client: Client,
  rpId: string,
  body: readonly unknown[] | string | Buffer,
  query: Record<string, string> = {},
): Promise<ImportAnswer> {
  const path = `/v1/credentials/import?${new URLSearchParams({ rpId, ...query }).toString()}`;
  const sent = typeof body === 'string' || Buffer.isBuffer(body) ? body : encodeLines(body);
  const answer = await client.send<string>('operator', 'POST', path, {
    headers: { 'content-type': 'application/x-ndjson' },
    body: sent,
  });
  return readAnswer(requireStatus(answer, 200));
}
