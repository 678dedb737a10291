import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Max,
  MaxLength,
  Min,
  NotEquals,
  ValidateBy,
} from 'class-validator';
import { MAX_CREDENTIAL_ID_BYTES } from '../../challenges/descriptors.js';
import { type BrowserKey, type BrowserKeyState, MAX_BROWSER_KEYS } from '../../credentials/browser-keys.js';
import { MAX_USER_HANDLE_BYTES } from '../../challenges/held-handle.js';
import type { CredentialStatus } from '../../credentials/credential.entity.js';
import { Nested, NestedEach } from '../../http/request-class.js';
import { HasForm, IsRpId, IsText, isTimestamp, UUID } from '../../http/validators.js';
import type { PublicKeyForm } from '../../webauthn/key-forms.js';
import type { AttestationTrust } from '../../webauthn/refusal.js';

const UUIDV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/;

/** Accepts bytes in base64url without padding, as nobody else would write them. */
function IsBytes(max: number): PropertyDecorator {
  return ValidateBy({
    name: 'isBytes',
    validator: {
      validate: (value) => {
        if (typeof value !== 'string' || value.length > max * 2) return false;
        const bytes = Buffer.from(value, 'base64url');
        return bytes.length >= 1 && bytes.length <= max && bytes.toString('base64url') === value;
      },
      defaultMessage: () => `$property must be 1 to ${String(max)} bytes in base64url without padding`,
    },
  });
}

/** Accepts an RFC 3339 time that every program and database can hold. */
function IsPastTime(): PropertyDecorator {
  return ValidateBy({
    name: 'isPastTime',
    validator: {
      validate: (value) => isTimestamp(value) && Date.parse(value) >= 0,
      defaultMessage: () => '$property must be an RFC 3339 time since 1970',
    },
  });
}

/** Accepts what may be a key in one of its forms. Whether it is one, credential-line.ts finds out. */
function IsPublicKeyForm(): PropertyDecorator {
  return ValidateBy({
    name: 'isPublicKeyForm',
    validator: {
      validate: (value) =>
        typeof value === 'string' || (typeof value === 'object' && value !== null && !Array.isArray(value)),
      defaultMessage: () => '$property must be a COSE_Key in base64url, SPKI in PEM, or a JWK',
    },
  });
}

class AttestationDto {
  @HasForm(/^[a-z0-9-]{1,32}$/, 'the name of an attestation statement format')
  format: string;

  @IsIn(['none', 'self', 'untrusted', 'trusted'])
  trust: AttestationTrust;
}

class BrowserKeyDto implements BrowserKey {
  @HasForm(THUMBPRINT, 'a SHA-256 in base64url')
  thumbprint: string;

  @IsIn(['trusted', 'untrusted', 'revoked'])
  state: BrowserKeyState;

  @IsPastTime()
  addedAt: string;

  @IsPastTime()
  changedAt: string;
}

/**
 * A passkey as one line of JSON. A null counts as absent wherever a member may be absent. The members after `source` are
 * those that only an export of this service has.
 */
export class CredentialLineDto {
  /** Credential id: base64url, 1 to 1,023 bytes. */
  @IsBytes(MAX_CREDENTIAL_ID_BYTES)
  credentialId: string;

  /** `.` and `..` are not allowed: no path could name the user. */
  @IsText(1, 256)
  @NotEquals('.')
  @NotEquals('..')
  userId: string;

  /** The user handle that the authenticator holds: base64url, 1 to 64 bytes. Absent: it is learned at the next authentication. */
  @IsOptional()
  @IsBytes(MAX_USER_HANDLE_BYTES)
  userHandle?: string | null;

  /** A COSE_Key in base64url, SPKI in PEM, or a JWK. */
  @IsPublicKeyForm()
  publicKey: PublicKeyForm;

  /** Unsigned, 32 bits. */
  @IsInt()
  @Min(0)
  @Max(2 ** 32 - 1)
  signCount: number;

  /** Flag BE (WebAuthn L3 §6.1). Absent: it is learned at the next authentication. */
  @IsOptional()
  @IsBoolean()
  backupEligible?: boolean | null;

  /** Flag BS of the last use. Absent: false. */
  @IsOptional()
  @IsBoolean()
  backedUp?: boolean | null;

  @IsOptional()
  @IsArray()
  @ArrayMaxSize(64)
  @IsString({ each: true })
  @MaxLength(256, { each: true })
  transports?: string[] | null;

  /** Absent: the model is unknown, `00000000-0000-0000-0000-000000000000`. */
  @IsOptional()
  @HasForm(UUID, 'a UUID')
  aaguid?: string | null;

  /** Absent: the name of the model. */
  @IsOptional()
  @IsText(1, 64)
  name?: string | null;

  /** RFC 3339. Absent: the time of the import. */
  @IsOptional()
  @IsPastTime()
  createdAt?: string | null;

  /** RFC 3339. Absent: never used. */
  @IsOptional()
  @IsPastTime()
  lastUsedAt?: string | null;

  /** Absent: not known. */
  @IsOptional()
  @IsBoolean()
  discoverable?: boolean | null;

  /** Names where the line comes from, for the audit log. */
  @IsText(1, 128)
  source: string;

  /** The relying party that is exported. An import refuses a line of another one. */
  @IsOptional()
  @IsRpId()
  rpId?: string | null;

  /** The id in this API, a UUIDv7. Absent: a new one. */
  @IsOptional()
  @HasForm(UUIDV7, 'a UUIDv7 in lower case')
  id?: string | null;

  /** COSE algorithm identifier. It must be that of the public key, and tells for which algorithm an RSA key in PEM is. */
  @IsOptional()
  @IsInt()
  algorithm?: number | null;

  /** Absent: `active`. */
  @IsOptional()
  @IsIn(['active', 'suspended', 'revoked'])
  status?: CredentialStatus | null;

  @IsOptional()
  @IsText(1, 256)
  statusReason?: string | null;

  /** RFC 3339. Absent: `createdAt`. */
  @IsOptional()
  @IsPastTime()
  statusChangedAt?: string | null;

  @IsOptional()
  @IsIn(['platform', 'cross-platform'])
  attachment?: string | null;

  /** True if the user was verified at registration. Absent: false. */
  @IsOptional()
  @IsBoolean()
  userVerified?: boolean | null;

  /** What the attestation was found to be at registration. Absent: none. */
  @IsOptional()
  @Nested(() => AttestationDto)
  attestation?: AttestationDto | null;

  /** The SPIFFE ID of the service that registered it. Absent: the caller. */
  @IsOptional()
  @IsText(1, 2_048)
  @HasForm(/^spiffe:\/\/[a-z0-9._-]+\/.+$/, 'a SPIFFE ID')
  createdBy?: string | null;

  /** The browser-bound keys that were seen with it. */
  @IsOptional()
  @IsArray()
  @ArrayMaxSize(MAX_BROWSER_KEYS)
  @ArrayUnique((key: unknown) => (key as Partial<BrowserKeyDto> | null)?.thumbprint ?? key, {
    message: '$property names a thumbprint twice',
  })
  @NestedEach(() => BrowserKeyDto)
  browserKeys?: BrowserKeyDto[] | null;

  /** RFC 3339. The last sign-in that counts for a purpose with `maxAgeSeconds`. */
  @IsOptional()
  @IsPastTime()
  lastSignInAt?: string | null;
}
