import { ArrayMaxSize, Equals, IsArray, IsDefined, IsInt, IsOptional, IsString, MaxLength } from 'class-validator';
import { MAX_CHALLENGE_ID } from '../../challenges/challenge.js';
import { HasForm, IsText, Optional, PURPOSE, PURPOSE_WORDS } from '../../http/validators.js';
import { BrowserWritten, Nested } from '../../http/request-class.js';
import { ReceiptRequestDto } from '../../receipts/dto/receipt-request.dto.js';

const BASE64URL = /^[A-Za-z0-9_-]{1,65536}$/;
const BASE64URL_WORDS = 'base64url without padding, of at most 65536 characters';
/** Opaque to callers: a sealed challenge. */
const CHALLENGE_ID = new RegExp(`^[A-Za-z0-9_-]{1,${String(MAX_CHALLENGE_ID)}}$`);
const CHALLENGE_ID_WORDS = 'the challengeId that the service issued';
const BASE64URL_OR_EMPTY = /^[A-Za-z0-9_-]{0,65536}$/;

/*
 * A browser writes these objects (`PublicKeyCredential.toJSON()`, WebAuthn L3 §5.1). Later browsers may add members: a
 * member that is not declared here is dropped. A null counts as absent wherever a member may be absent. Declared
 * members have a type and a bound.
 */

/** WebAuthn L3 §10.1.3. All other outputs are dropped here, including the secrets of the prf extension. */
@BrowserWritten()
class ClientExtensionResultsDto {
  /**
   * A value of another type counts as none: an extension output that no caller asked for must not refuse a passkey
   * (WebAuthn L3 §7.1 step 18).
   */
  @IsOptional()
  credProps?: unknown;

  /** The signature of a browser-bound key (Secure Payment Confirmation §6.5). Only a payment reads it. */
  @IsOptional()
  payment?: unknown;
}

abstract class CeremonyResponseDto {
  @HasForm(BASE64URL, BASE64URL_WORDS)
  id: string;

  @HasForm(BASE64URL, BASE64URL_WORDS)
  rawId: string;

  @Equals('public-key')
  type: 'public-key';

  /** An unknown value counts as none (WebAuthn L3 §5.1). */
  @IsOptional()
  @IsText(0, 32)
  authenticatorAttachment?: string | null;

  @IsOptional()
  @Nested(() => ClientExtensionResultsDto)
  clientExtensionResults?: ClientExtensionResultsDto | null;
}

@BrowserWritten()
class AttestationResponseDto {
  @HasForm(BASE64URL, BASE64URL_WORDS)
  clientDataJSON: string;

  @HasForm(BASE64URL, BASE64URL_WORDS)
  attestationObject: string;

  @IsOptional()
  @HasForm(BASE64URL_OR_EMPTY, `${BASE64URL_WORDS}, or empty`)
  authenticatorData?: string | null;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(64)
  @IsString({ each: true })
  @MaxLength(256, { each: true })
  transports?: string[] | null;

  @IsOptional()
  @HasForm(BASE64URL_OR_EMPTY, `${BASE64URL_WORDS}, or empty`)
  publicKey?: string | null;

  @IsOptional()
  @IsInt()
  publicKeyAlgorithm?: number | null;
}

@BrowserWritten()
class AssertionResponseDto {
  @HasForm(BASE64URL, BASE64URL_WORDS)
  clientDataJSON: string;

  @HasForm(BASE64URL, BASE64URL_WORDS)
  authenticatorData: string;

  @HasForm(BASE64URL, BASE64URL_WORDS)
  signature: string;

  /** Some clients write an empty text if the authenticator returns no user handle. */
  @IsOptional()
  @HasForm(BASE64URL_OR_EMPTY, `${BASE64URL_WORDS}, or empty`)
  userHandle?: string | null;
}

@BrowserWritten()
export class RegistrationResponseDto extends CeremonyResponseDto {
  @IsDefined()
  @Nested(() => AttestationResponseDto)
  response: AttestationResponseDto;
}

@BrowserWritten()
export class AuthenticationResponseDto extends CeremonyResponseDto {
  @IsDefined()
  @Nested(() => AssertionResponseDto)
  response: AssertionResponseDto;
}

export class RegisterCredentialDto {
  @HasForm(CHALLENGE_ID, CHALLENGE_ID_WORDS)
  challengeId: string;

  @IsDefined()
  @Nested(() => RegistrationResponseDto)
  response: RegistrationResponseDto;

  @Optional()
  @IsText(1, 64)
  name?: string;
}

/** The answer to a challenge that asked for an assertion. */
export abstract class AssertionAnswerDto {
  @HasForm(CHALLENGE_ID, CHALLENGE_ID_WORDS)
  challengeId: string;

  @IsDefined()
  @Nested(() => AuthenticationResponseDto)
  response: AuthenticationResponseDto;

  @Optional()
  @Nested(() => ReceiptRequestDto)
  receipt?: ReceiptRequestDto;
}

export class VerifyAuthenticationDto extends AssertionAnswerDto {
  @Optional()
  @HasForm(PURPOSE, PURPOSE_WORDS)
  purpose?: string;
}
