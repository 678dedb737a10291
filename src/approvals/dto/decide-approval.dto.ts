import { IsText } from '../../http/validators.js';

export class DecideApprovalDto {
  /** The reason for the decision. The audit log and the request keep it. */
  @IsText(1, 256)
  reason: string;
}
