import { AUDIENCE, AUDIENCE_WORDS, HasForm } from '../../http/validators.js';

/** What a caller asks for with an answer to a challenge. */
export class ReceiptRequestDto {
  @HasForm(AUDIENCE, AUDIENCE_WORDS)
  audience: string;
}
