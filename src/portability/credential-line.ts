/*
 * Moves passkeys in and out, as lines of JSON (NDJSON).
 *
 *  - credential-line.ts is the line: how it is read. dto/credential-line.dto.ts says what it may hold.
 *  - export.controller.ts exports the passkeys of a relying party. export-credentials.ts verifies the seals and records what happens,
 *    export-pages.repository.ts reads, export-line.ts writes a line, and export-frame.ts has the first line and the last one, which
 *    is signed. export-verifier.ts verifies an export, also without the service.
 *  - import.controller.ts imports lines. import-credentials.ts reads them as they arrive and answers with verdicts, import-batch.ts
 *    judges and stores a batch by judge-line.ts, import.repository.ts has its two statements. import-frame.ts tells if an export is whole. dry-run-memory.ts stands in for the table
 *    where nothing is to be stored.
 */
import { validateSync } from 'class-validator';
import { selectTransports } from '../challenges/descriptors.js';
import type { BrowserKey } from '../credentials/browser-keys.js';
import type { CredentialStatus } from '../credentials/credential.entity.js';
import { describeInvalidMembers } from '../http/invalid-members.js';
import { createMalformedProblem, type InvalidMember, Problem } from '../http/problem.js';
import { toInstance } from '../http/request-class.js';
import { parseStrictJson } from '../http/strict-json.js';
import { readPublicKey } from '../webauthn/key-forms.js';
import { type AttestationTrust, Refusal } from '../webauthn/refusal.js';
import { CredentialLineDto } from './dto/credential-line.dto.js';

/** The longest line, without its line end: bytes. */
export const MAX_LINE_BYTES = 65_536;

/** A line that was read: what it leaves out is null where the database or the service decides. */
export interface CredentialLine {
  readonly credentialId: Buffer;
  readonly userId: string;
  /** null: not known. */
  readonly userHandle: Buffer | null;
  /** The bytes of the COSE_Key. */
  readonly publicKey: Buffer;
  /** COSE algorithm identifier. */
  readonly algorithm: number;
  readonly signCount: number;
  /** null: not known. */
  readonly backupEligible: boolean | null;
  readonly backedUp: boolean;
  readonly transports: string[];
  /** Lower case. null: the line has none. */
  readonly aaguid: string | null;
  readonly name: string | null;
  readonly createdAt: Date | null;
  readonly lastUsedAt: Date | null;
  /** null: not known. */
  readonly discoverable: boolean | null;
  readonly source: string;
  readonly id: string | null;
  readonly status: CredentialStatus;
  readonly statusReason: string | null;
  readonly statusChangedAt: Date | null;
  readonly attachment: string | null;
  readonly userVerified: boolean;
  readonly attestation: { readonly format: string; readonly trust: AttestationTrust };
  readonly createdBy: string | null;
  readonly browserKeys: readonly BrowserKey[];
  readonly lastSignInAt: Date | null;
}

interface LineExpectation {
  readonly rpId: string;
  readonly now: Date;
}

/**
 * Reads a line of JSON, and verifies that its public key can verify signatures.
 *
 * @param bytes without the line end
 * @throws Problem request-malformed, with the JSON pointer of each wrong member
 */
export function parseCredentialLine(bytes: Buffer, expected: LineExpectation): CredentialLine {
  if (bytes.length > MAX_LINE_BYTES)
    throw createMalformedProblem(`the line is longer than ${String(MAX_LINE_BYTES)} bytes`);
  const value = parseStrictJson(bytes, 'the line');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw createMalformedProblem('the line is not a JSON object');
  return readCredentialLine(value, expected);
}

const VALIDATION = {
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: true,
  validationError: { target: true, value: true },
};

/** Reads a line that is parsed already. @throws Problem request-malformed */
export function readCredentialLine(value: object, expected: LineExpectation): CredentialLine {
  const line = toInstance(CredentialLineDto, value);
  const errors = validateSync(line, VALIDATION);
  if (errors.length > 0) throw new Problem('request-malformed', { invalid: describeInvalidMembers(errors) });
  const invalid = findContradictions(line, expected);
  const key = readKey(line);
  if ('detail' in key) invalid.push(key);
  if (invalid.length > 0) throw new Problem('request-malformed', { invalid });
  return { ...key, ...toMembers(line) } as CredentialLine;
}

function readKey({
  publicKey,
  algorithm,
}: CredentialLineDto): Pick<CredentialLine, 'publicKey' | 'algorithm'> | InvalidMember {
  try {
    return readPublicKey(publicKey, algorithm ?? undefined);
  } catch (error) {
    if (error instanceof Refusal) return { pointer: '/publicKey', detail: error.detail };
    throw error;
  }
}

/** The clock of whoever wrote the line may be ahead by this much. */
const CLOCK_SKEW_MS = 300_000;
const TIMES = ['createdAt', 'lastUsedAt', 'statusChangedAt', 'lastSignInAt'] as const;

/** Finds what no member says alone. A sign-in of the future would count as recent for a long time. */
function findContradictions(line: CredentialLineDto, { rpId, now }: LineExpectation): InvalidMember[] {
  const invalid: InvalidMember[] = [];
  const latest = now.getTime() + CLOCK_SKEW_MS;
  for (const name of TIMES) {
    const isAhead = Date.parse(line[name] ?? '') > latest;
    if (isAhead) invalid.push({ pointer: `/${name}`, detail: `${name} must not be in the future` });
  }
  if (line.id && Number.parseInt(line.id.slice(0, 8) + line.id.slice(9, 13), 16) > latest)
    invalid.push({ pointer: '/id', detail: 'the time in id must not be in the future' });
  if (line.rpId && line.rpId !== rpId)
    invalid.push({ pointer: '/rpId', detail: 'the line is of another relying party than the import' });
  if (line.backedUp && line.backupEligible === false)
    invalid.push({ pointer: '/backedUp', detail: 'a passkey that is not backup eligible cannot be backed up' });
  return invalid;
}

function toMembers(line: CredentialLineDto): Omit<CredentialLine, 'publicKey' | 'algorithm'> {
  const toTime = (text: string | null | undefined): Date | null => (text ? new Date(text.toUpperCase()) : null);
  const { attestation, browserKeys } = line;
  return {
    credentialId: Buffer.from(line.credentialId, 'base64url'),
    userId: line.userId,
    userHandle: line.userHandle ? Buffer.from(line.userHandle, 'base64url') : null,
    signCount: line.signCount,
    backupEligible: line.backupEligible ?? null,
    backedUp: line.backedUp ?? false,
    transports: selectTransports(line.transports),
    aaguid: line.aaguid?.toLowerCase() ?? null,
    name: line.name ?? null,
    createdAt: toTime(line.createdAt),
    lastUsedAt: toTime(line.lastUsedAt),
    discoverable: line.discoverable ?? null,
    source: line.source,
    id: line.id ?? null,
    status: line.status ?? 'active',
    statusReason: line.statusReason ?? null,
    statusChangedAt: toTime(line.statusChangedAt),
    attachment: line.attachment ?? null,
    userVerified: line.userVerified ?? false,
    attestation: attestation
      ? { format: attestation.format, trust: attestation.trust }
      : { format: 'none', trust: 'none' },
    createdBy: line.createdBy ?? null,
    browserKeys: (browserKeys ?? []).map(({ thumbprint, state, addedAt, changedAt }) => {
      return { thumbprint, state, addedAt, changedAt };
    }),
    lastSignInAt: toTime(line.lastSignInAt),
  };
}
