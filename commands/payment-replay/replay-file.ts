import { IsDefined, IsObject, validate } from 'class-validator';
import { AuthenticationResponseDto } from '../../src/credentials/dto/ceremony-answer.dto.js';
import { describeInvalidMembers } from '../../src/http/invalid-members.js';
import { findInheritedMember } from '../../src/http/strict-json.js';
import { appendPointer } from '../../src/http/problem.js';
import { Nested, toInstance } from '../../src/http/request-class.js';
import { HasForm, Optional, UUID } from '../../src/http/validators.js';
import { IssuePaymentChallengeDto } from '../../src/payments/dto/payment.dto.js';
import { parseUnambiguous } from '../../src/tlog/canonical-json.js';
import { LineFault } from '../../src/tlog/lines.js';

/** A request and an answer have at most 64 KiB each, and an event less. */
export const MAX_FILE_BYTES = 262_144;

/** What auth-service kept of a payment. */
export class ReplayFile {
  /** The body of POST /v1/challenges/payment. */
  @IsDefined()
  @Nested(() => IssuePaymentChallengeDto)
  request: IssuePaymentChallengeDto;

  /** `methodData.data.challenge` of its answer. */
  @HasForm(/^[A-Za-z0-9_-]{43}$/, 'methodData.data.challenge: 43 characters of base64url')
  challenge: string;

  /** What the browser answered. */
  @IsDefined()
  @Nested(() => AuthenticationResponseDto)
  response: AuthenticationResponseDto;

  /** `auditId` of the answer of POST /v1/payments. */
  @HasForm(UUID, 'the auditId of the answer: a UUID')
  auditId: string;

  /** The answer of GET /v1/audit/events/{id}, or the line of the event in an export. */
  @Optional()
  @IsObject()
  event?: Record<string, unknown>;

  /** COSE_Key of the passkey. */
  @Optional()
  @HasForm(/^[A-Za-z0-9_-]{1,5462}$/, 'a COSE_Key in base64url, of at most 4096 bytes')
  publicKey?: string;
}

/** The file cannot be read as one. The message has one sentence for each mistake. */
export class ReplayFileError extends Error {
  override readonly name = 'ReplayFileError';
}

/** Reads a file as strictly as the service reads a request. @throws ReplayFileError */
export async function parseReplayFile(path: string, bytes: Buffer): Promise<ReplayFile> {
  const value = parseJson(path, bytes);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ReplayFileError(`${path} is not a JSON object.`);
  const inherited = findInheritedMember(value);
  if (inherited)
    throw new ReplayFileError(`${path}: ${inherited.reduce(appendPointer, '')} is not a member of a replay.`);
  const file = toInstance(ReplayFile, value);
  const errors = await validate(file, {
    ...{ whitelist: true, forbidNonWhitelisted: true, forbidUnknownValues: true },
    validationError: { target: true, value: true },
  });
  if (errors.length === 0) return file;
  const mistakes = describeInvalidMembers(errors).map(({ pointer, detail }) => `${path}: ${pointer}: ${detail}.`);
  throw new ReplayFileError(mistakes.join('\n'));
}

function parseJson(path: string, bytes: Buffer): unknown {
  try {
    return parseUnambiguous(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    if (error instanceof LineFault) throw new ReplayFileError(`${path} ${error.message}.`);
    if (error instanceof TypeError) throw new ReplayFileError(`${path} is not UTF-8.`);
    throw error;
  }
}
