import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsBoolean, IsIn, IsInt, Max, Min } from 'class-validator';
import { HasForm, Optional, PURPOSE, PURPOSE_WORDS } from '../../http/validators.js';
import { Nested, NestedByName } from '../../http/request-class.js';
import { COSE_ALGORITHMS } from '../../webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../../webauthn/attestation-statement.js';
import { IsOrigin } from '../origin.js';
import { MAX_CREDENTIALS_PER_USER, MAX_PURPOSES, type RelyingPartyPolicy } from '../relying-party-policy.js';

const DEMANDS = ['required', 'preferred', 'discouraged'];
const BACKUPS = ['any', 'device-bound', 'synced'];
const TRUSTS = ['any', 'trusted'];
const MAX_CHALLENGE_TTL_SECONDS = 3_600;
const AAGUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

class AttestationPolicyDto {
  @Optional()
  @IsIn(['none', 'indirect', 'direct', 'enterprise'])
  conveyance?: RelyingPartyPolicy['attestation']['conveyance'];

  @Optional()
  @IsIn(TRUSTS)
  trust?: 'any' | 'trusted';

  @Optional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayUnique()
  @IsIn(ATTESTATION_FORMATS, { each: true })
  formats?: string[];
}

class AuthenticatorsPolicyDto {
  @Optional()
  @IsArray()
  @ArrayMaxSize(1_000)
  @ArrayUnique()
  @HasForm(AAGUID, 'an AAGUID in lower case', { each: true })
  allow?: string[];

  @Optional()
  @IsArray()
  @ArrayMaxSize(1_000)
  @ArrayUnique()
  @HasForm(AAGUID, 'an AAGUID in lower case', { each: true })
  deny?: string[];

  @Optional()
  @IsIn(['allow', 'deny'])
  unknown?: 'allow' | 'deny';
}

class CrossOriginPolicyDto {
  @Optional()
  @IsBoolean()
  allow?: boolean;

  @Optional()
  @IsArray()
  @ArrayMaxSize(100)
  @ArrayUnique()
  @IsOrigin({ each: true })
  topOrigins?: string[];
}

class IdentityProofPolicyDto {
  @Optional()
  @IsBoolean()
  required?: boolean;

  @Optional()
  @IsInt()
  @Min(1)
  @Max(86_400)
  maxAgeSeconds?: number;
}

class UserLimitsPolicyDto {
  @Optional()
  @IsInt()
  @Min(1)
  @Max(10_000)
  challengesPerMinute?: number;

  @Optional()
  @IsInt()
  @Min(1)
  @Max(1_000)
  refusalsPerHalfHour?: number;
}

class BrowserKeysPolicyDto {
  @Optional()
  @IsIn(['accept', 'step-up', 'refuse'])
  unknown?: 'accept' | 'step-up' | 'refuse';
}

class PurposePolicyDto {
  @Optional()
  @IsIn(DEMANDS)
  userVerification?: RelyingPartyPolicy['userVerification'];

  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_CHALLENGE_TTL_SECONDS)
  challengeTtlSeconds?: number;

  @Optional()
  @IsIn(BACKUPS)
  backup?: RelyingPartyPolicy['backup'];

  @Optional()
  @IsIn(TRUSTS)
  attestation?: 'any' | 'trusted';

  @Optional()
  @IsInt()
  @Min(1)
  @Max(86_400)
  maxAgeSeconds?: number;
}

export class PolicyDto {
  @Optional()
  @IsIn(DEMANDS)
  userVerification?: RelyingPartyPolicy['userVerification'];

  @Optional()
  @IsIn(DEMANDS)
  residentKey?: RelyingPartyPolicy['residentKey'];

  @Optional()
  @Nested(() => AttestationPolicyDto)
  attestation?: AttestationPolicyDto;

  @Optional()
  @Nested(() => AuthenticatorsPolicyDto)
  authenticators?: AuthenticatorsPolicyDto;

  @Optional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayUnique()
  @IsIn(COSE_ALGORITHMS, { each: true })
  algorithms?: number[];

  @Optional()
  @IsIn(BACKUPS)
  backup?: RelyingPartyPolicy['backup'];

  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_CREDENTIALS_PER_USER)
  maxCredentialsPerUser?: number;

  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_CHALLENGE_TTL_SECONDS)
  challengeTtlSeconds?: number;

  @Optional()
  @IsIn(['reject', 'flag'])
  signCountRegression?: 'reject' | 'flag';

  @Optional()
  @IsIn(['reject', 'accept-growth'])
  backupEligibilityChange?: 'reject' | 'accept-growth';

  @Optional()
  @IsBoolean()
  allowSha1Tpm?: boolean;

  @Optional()
  @Nested(() => BrowserKeysPolicyDto)
  browserKeys?: BrowserKeysPolicyDto;

  @Optional()
  @Nested(() => CrossOriginPolicyDto)
  crossOrigin?: CrossOriginPolicyDto;

  @Optional()
  @Nested(() => IdentityProofPolicyDto)
  identityProof?: IdentityProofPolicyDto;

  @Optional()
  @Nested(() => UserLimitsPolicyDto)
  userLimits?: UserLimitsPolicyDto;

  /** Purposes by their names. */
  @Optional()
  @NestedByName(() => PurposePolicyDto, {
    isName: (name) => PURPOSE.test(name),
    words: PURPOSE_WORDS,
    most: MAX_PURPOSES,
  })
  purposes?: Map<string, PurposePolicyDto>;
}
