import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsBoolean, IsIn, IsInt, Max, Min } from 'class-validator';
import { HasForm, Optional } from '../../http/validators.js';
import { Nested } from '../../http/request-class.js';
import { COSE_ALGORITHMS } from '../../webauthn/cose.js';
import { ATTESTATION_FORMATS } from '../../webauthn/attestation-statement.js';
import { IsOrigin } from '../origin.js';
import { MAX_CREDENTIALS_PER_USER, type RelyingPartyPolicy } from '../relying-party-policy.js';

const DEMANDS = ['required', 'preferred', 'discouraged'];
const AAGUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

class AttestationPolicyDto {
  @Optional()
  @IsIn(['none', 'indirect', 'direct', 'enterprise'])
  conveyance?: RelyingPartyPolicy['attestation']['conveyance'];

  @Optional()
  @IsIn(['any', 'trusted'])
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
  @IsIn(['any', 'device-bound', 'synced'])
  backup?: RelyingPartyPolicy['backup'];

  @Optional()
  @IsInt()
  @Min(1)
  @Max(MAX_CREDENTIALS_PER_USER)
  maxCredentialsPerUser?: number;

  @Optional()
  @IsInt()
  @Min(1)
  @Max(3_600)
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
  @Nested(() => CrossOriginPolicyDto)
  crossOrigin?: CrossOriginPolicyDto;

  @Optional()
  @Nested(() => IdentityProofPolicyDto)
  identityProof?: IdentityProofPolicyDto;

  @Optional()
  @Nested(() => UserLimitsPolicyDto)
  userLimits?: UserLimitsPolicyDto;
}
