import { Body, Controller, Header, HttpCode, HttpStatus, Param, Post, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Requires } from '../access/permissions.js';
import { endTurn } from '../http/admission.guard.js';
import { IdParam } from '../http/id.param.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { PollDto, type PollResponse } from './dto/poll.dto.js';
import { PollsService } from './polls.service.js';

/** Where receivers get their SETs (RFC 8936). */
@Controller('v1/signals/poll')
export class PollController {
  constructor(private readonly polls: PollsService) {}

  @Post(':id')
  @HttpCode(HttpStatus.OK)
  @Requires('events:receive')
  @Header('cache-control', 'no-store')
  async poll(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() poll: PollDto,
    @Req() request: FastifyRequest,
  ): Promise<PollResponse> {
    const gone = new AbortController();
    const leave = (): void => {
      gone.abort();
    };
    request.raw.socket.once('close', leave);
    try {
      return await this.polls.poll(context, id, poll, () => {
        endTurn(request);
        return gone.signal;
      });
    } finally {
      request.raw.socket.removeListener('close', leave);
    }
  }
}
