import { IsText } from '../../contract/is-text.js';

export class RenameCredentialDto {
  @IsText(1, 64)
  name: string;
}

export class ChangeStatusDto {
  /** Why, for the audit log and for whoever looks at the credential later. */
  @IsText(1, 256)
  reason: string;
}
