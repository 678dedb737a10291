import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Requires } from '../access/permissions.js';
import { answerKeySet } from '../signing-keys/publish-keys.js';
import { ReceiptKeys } from './receipt-keys.js';

@Controller('v1/receipts')
export class ReceiptsController {
  constructor(private readonly keys: ReceiptKeys) {}

  /** Every caller may pass the keys on to those who verify receipts. */
  @Get('jwks')
  @Requires('any')
  getKeys(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string | undefined {
    return answerKeySet(this.keys.published, request, reply);
  }
}
