import { AssertionAnswerDto } from '../../credentials/dto/ceremony-answer.dto.js';
import { HasForm, IsRpId, IsText, Optional, PURPOSE, PURPOSE_WORDS } from '../../http/validators.js';
import { IsTransaction, type Transaction } from '../transaction.js';

export class IssueConfirmationChallengeDto {
  @IsRpId()
  rpId: string;

  @IsText(1, 256)
  userId: string;

  @Optional()
  @HasForm(PURPOSE, PURPOSE_WORDS)
  purpose?: string;

  @IsTransaction()
  transaction: Transaction;
}

export class ConfirmTransactionDto extends AssertionAnswerDto {
  @IsTransaction()
  transaction: Transaction;
}
