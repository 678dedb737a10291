import { IsText } from '../../http/validators.js';

export class RenameCredentialDto {
  @IsText(1, 64)
  name: string;
}

export class ChangeStatusDto {
  /** The reason for the change. The audit log and the credentials keep it. */
  @IsText(1, 256)
  reason: string;
}
