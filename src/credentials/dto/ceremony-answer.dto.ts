import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  Equals,
  IsArray,
  IsDefined,
  IsInt,
  IsObject,
  IsOptional,
  Matches,
  ValidateNested,
} from 'class-validator';
import { PURPOSE } from '../../challenges/dto/issue-challenge.dto.js';
import { UUID } from '../../contract/id.param.js';
import { IsText } from '../../contract/is-text.js';
import { Optional } from '../../contract/optional.js';

const BASE64URL = /^[A-Za-z0-9_-]{1,65536}$/;
const TRANSPORT = /^[a-z0-9-]{1,32}$/;

/** `PublicKeyCredential.toJSON()` (WebAuthn L3 §5.1): its members known, typed and bounded; extension results as they come. */
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

  @Optional()
  @IsObject()
  clientExtensionResults?: { credProps?: { rk?: unknown } };
}

class AttestationResponseDto {
  @Matches(BASE64URL)
  clientDataJSON: string;

  @Matches(BASE64URL)
  attestationObject: string;

  @Optional()
  @Matches(BASE64URL)
  authenticatorData?: string;

  @Optional()
  @IsArray()
  @ArrayMaxSize(16)
  @Matches(TRANSPORT, { each: true })
  transports?: string[];

  @IsOptional()
  @Matches(BASE64URL)
  publicKey?: string | null;

  @Optional()
  @IsInt()
  publicKeyAlgorithm?: number;
}

class AssertionResponseDto {
  @Matches(BASE64URL)
  clientDataJSON: string;

  @Matches(BASE64URL)
  authenticatorData: string;

  @Matches(BASE64URL)
  signature: string;

  @IsOptional()
  @Matches(BASE64URL)
  userHandle?: string | null;
}

export class RegistrationResponseDto extends CeremonyResponseDto {
  @IsDefined()
  @IsObject()
  @ValidateNested()
  @Type(() => AttestationResponseDto)
  response: AttestationResponseDto;
}

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
