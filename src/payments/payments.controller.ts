import { Body, Controller, HttpCode, HttpStatus, Post } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { Receipts } from '../receipts/receipts.service.js';
import { inSpan } from '../telemetry/spans.js';
import { ConfirmPaymentDto, IssuePaymentChallengeDto } from './dto/payment.dto.js';
import type { PaidResponse, PaymentChallengeResponse } from './dto/payment.response.js';
import { PaymentsService } from './payments.service.js';

@Controller('v1')
export class PaymentsController {
  constructor(
    private readonly payments: PaymentsService,
    private readonly access: AccessService,
    private readonly receipts: Receipts,
  ) {}

  @Post('challenges/payment')
  @Requires('payments:confirm')
  async issue(
    @Context() context: AuthorizedContext,
    @Body() request: IssuePaymentChallengeDto,
  ): Promise<PaymentChallengeResponse> {
    await this.access.authorizeRelyingParty(context, request.rpId);
    return this.payments.issue(context, request);
  }

  @Post('payments')
  @HttpCode(HttpStatus.OK)
  @Requires('payments:confirm')
  confirm(@Context() context: AuthorizedContext, @Body() answer: ConfirmPaymentDto): Promise<PaidResponse> {
    return this.receipts.accompany(context, 'payment', answer.receipt, () =>
      inSpan('verify a payment', {}, () => this.payments.confirm(context, answer)),
    );
  }
}
