import { Controller, Get, Header, HttpStatus, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Requires } from '../access/permissions.js';
import { ReceiptKeys } from './receipt-keys.js';

/** Seconds. Whoever replaces a key waits so long between its steps (docs/runbook.md). */
const MAX_AGE = 300;

@Controller('v1/receipts')
export class ReceiptsController {
  constructor(private readonly keys: ReceiptKeys) {}

  /** Every caller may pass the keys on to those who verify receipts. */
  @Get('jwks')
  @Requires('any')
  @Header('content-type', 'application/jwk-set+json')
  @Header('cache-control', `public, max-age=${String(MAX_AGE)}`)
  getKeys(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string | undefined {
    const { body, etag } = this.keys.published;
    void reply.header('etag', etag);
    if (!matches(request.headers['if-none-match'], etag)) return body;
    void reply.status(HttpStatus.NOT_MODIFIED);
    return undefined;
  }
}

/** Compares entity tags weakly (RFC 9110 §13.1.2). */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  const known = ifNoneMatch?.split(',').map((tag) => tag.trim().replace(/^W\//, '')) ?? [];
  return known.includes(etag) || known.includes('*');
}
