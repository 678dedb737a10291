import { ArrayMaxSize, ArrayUnique, IsArray, IsBoolean, IsDefined, IsIn, NotEquals, ValidateBy } from 'class-validator';
import { HasForm, IsRpId, IsText, IsTimestamp, Optional, PURPOSE, PURPOSE_WORDS } from '../../http/validators.js';
import { Nested } from '../../http/request-class.js';

class UserDto {
  /**
   * The caller's id for the user, opaque to the service. `.` and `..` are refused because the id is a path segment in
   * other requests.
   */
  @NotEquals('.')
  @NotEquals('..')
  @IsText(1, 256)
  id: string;

  @IsText(1, 256)
  name: string;

  /** Empty if the caller has no display name (WebAuthn L3 §5.4.3). */
  @IsText(0, 256)
  displayName: string;
}

/** How and when the caller identified the user (PCI DSS 8.3.3). */
export class IdentityProofDto {
  @IsText(1, 64)
  method: string;

  @IsTimestamp()
  verifiedAt: string;

  @Optional()
  @IsText(1, 256)
  reference?: string;
}

/** Refuses a value that no browser takes together with `payment: true` (SPC §5). */
function IsNotForPayments(refused: string, words: string): PropertyDecorator {
  return ValidateBy({
    name: 'isNotForPayments',
    validator: {
      validate: (value, args) =>
        value !== refused || (args?.object as Partial<IssueRegistrationChallengeDto>).payment !== true,
      defaultMessage: () => `$property must be ${words} with payment`,
    },
  });
}

abstract class CeremonyDto {
  @IsRpId()
  rpId: string;

  @Optional()
  @HasForm(PURPOSE, PURPOSE_WORDS)
  purpose?: string;

  @Optional()
  @IsArray()
  @ArrayMaxSize(3)
  @ArrayUnique()
  @IsIn(['security-key', 'client-device', 'hybrid'], { each: true })
  hints?: string[];
}

export class IssueRegistrationChallengeDto extends CeremonyDto {
  @IsDefined()
  @Nested(() => UserDto)
  user: UserDto;

  @Optional()
  @Nested(() => IdentityProofDto)
  identityProof?: IdentityProofDto;

  @Optional()
  @IsIn(['platform', 'cross-platform'])
  @IsNotForPayments('cross-platform', 'absent or platform')
  authenticatorAttachment?: 'platform' | 'cross-platform';

  @Optional()
  @IsIn(['conditional'])
  @IsNotForPayments('conditional', 'absent')
  mediation?: 'conditional';

  @Optional()
  @IsBoolean()
  payment?: boolean;
}

export class IssueAuthenticationChallengeDto extends CeremonyDto {
  @Optional()
  @IsText(1, 256)
  userId?: string;
}
