import { Body, Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { Receipts } from '../receipts/receipts.service.js';
import { inSpan } from '../telemetry/spans.js';
import { ConfirmationsService } from './confirmations.service.js';
import { ConfirmTransactionDto, IssueConfirmationChallengeDto } from './dto/confirmation.dto.js';
import type { ConfirmationChallengeResponse, ConfirmedResponse } from './dto/confirmation.response.js';

@Controller('v1')
export class ConfirmationsController {
  constructor(
    private readonly confirmations: ConfirmationsService,
    private readonly access: AccessService,
    private readonly receipts: Receipts,
  ) {}

  @Post('challenges/confirmation')
  @Requires('passkeys:confirm')
  async issue(
    @Context() context: AuthorizedContext,
    @Body() request: IssueConfirmationChallengeDto,
  ): Promise<ConfirmationChallengeResponse> {
    await this.access.authorizeRelyingParty(context, request.rpId);
    return this.confirmations.issue(context, request);
  }

  @Post('confirmations')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:confirm')
  confirm(@Context() context: AuthorizedContext, @Body() answer: ConfirmTransactionDto): Promise<ConfirmedResponse> {
    return this.receipts.accompany(context, 'confirmation', answer.receipt, () =>
      inSpan('verify a confirmation', {}, () => this.confirmations.confirm(context, answer)),
    );
  }
}
