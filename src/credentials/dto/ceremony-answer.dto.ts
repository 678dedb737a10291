import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  Equals,
  IsArray,
  IsDefined,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  ValidateNested,
} from 'class-validator';
import { PURPOSE } from '../../challenges/dto/issue-challenge.dto.js';
import { BrowserWritten } from '../../contract/browser-written.js';
import { UUID } from '../../contract/id.param.js';
import { IsText } from '../../contract/is-text.js';
import { Optional } from '../../contract/optional.js';

const BASE64URL = /^[A-Za-z0-9_-]{1,65536}$/;
const BASE64URL_OR_EMPTY = /^[A-Za-z0-9_-]{0,65536}$/;

/*
 * A browser writes these objects (`PublicKeyCredential.toJSON()`, WebAuthn L3 §5.1). Browsers grow: a member that is not
 * declared here is dropped, and null is absent wherever a member may be absent. What is declared is typed and bounded.
 */

/** WebAuthn L3 §10.1.3; the other outputs, secrets of the prf extension among them, end here. */
@BrowserWritten()
class ClientExtensionResultsDto {
  /** A value of another type counts as none: an output that no one asked for refuses no passkey (WebAuthn L3 §7.1 step 18). */
  @IsOptional()
  credProps?: unknown;
}

abstract class CeremonyResponseDto {
  @Matches(BASE64URL)
  id: string;

  @Matches(BASE64URL)
  rawId: string;

  @Equals('public-key')
  type: 'public-key';

  /** A value that is not known counts as none (WebAuthn L3 §5.1). */
  @IsOptional()
  @IsText(0, 32)
  authenticatorAttachment?: string | null;

  @IsOptional()
  @IsObject()
  @ValidateNested()
  @Type(() => ClientExtensionResultsDto)
  clientExtensionResults?: ClientExtensionResultsDto | null;
}

@BrowserWritten()
class AttestationResponseDto {
  @Matches(BASE64URL)
  clientDataJSON: string;

  @Matches(BASE64URL)
  attestationObject: string;

  @IsOptional()
  @Matches(BASE64URL_OR_EMPTY)
  authenticatorData?: string | null;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(64)
  @IsString({ each: true })
  @MaxLength(256, { each: true })
  transports?: string[] | null;

  @IsOptional()
  @Matches(BASE64URL_OR_EMPTY)
  publicKey?: string | null;

  @IsOptional()
  @IsInt()
  publicKeyAlgorithm?: number | null;
}

@BrowserWritten()
class AssertionResponseDto {
  @Matches(BASE64URL)
  clientDataJSON: string;

  @Matches(BASE64URL)
  authenticatorData: string;

  @Matches(BASE64URL)
  signature: string;

  /** Some clients write an empty one where the authenticator returns none. */
  @IsOptional()
  @Matches(BASE64URL_OR_EMPTY)
  userHandle?: string | null;
}

@BrowserWritten()
export class RegistrationResponseDto extends CeremonyResponseDto {
  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => AttestationResponseDto)
  response: AttestationResponseDto;
}

@BrowserWritten()
export class AuthenticationResponseDto extends CeremonyResponseDto {
  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => AssertionResponseDto)
  response: AssertionResponseDto;
}

export class RegisterCredentialDto {
  @Matches(UUID, { message: 'challengeId must be a UUID' })
  challengeId: string;

  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => RegistrationResponseDto)
  response: RegistrationResponseDto;

  @Optional()
  @IsText(1, 64)
  name?: string;
}

export class VerifyAuthenticationDto {
  @Matches(UUID, { message: 'challengeId must be a UUID' })
  challengeId: string;

  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => AuthenticationResponseDto)
  response: AuthenticationResponseDto;

  @Optional()
  @Matches(PURPOSE)
  purpose?: string;
}
