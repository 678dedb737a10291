import { Body, Controller, Get, HttpStatus, Param, Put, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { ApprovalAnswers } from '../approvals/approval-answers.js';
import type { ApprovalResponse } from '../approvals/dto/approval.response.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { createMalformedProblem } from '../http/problem.js';
import { PutRelyingPartyDto, PutRelyingPartyQuery, RpIdParam } from './dto/put-relying-party.dto.js';
import { type DryRunResponse, RelyingPartyResponse } from './dto/relying-party.response.js';
import { EnrolledCredentials } from './enrolled-credentials.js';
import type { PolicyWarning } from './policy-warnings.js';
import { listRelatedOrigins } from './related-origins.js';
import { RelyingPartyCopies } from './relying-party-copies.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import type { RelyingPartyEntity } from './relying-party.entity.js';

@Controller('v1/relying-parties')
export class RelyingPartiesController {
  constructor(
    private readonly parties: RelyingPartiesService,
    private readonly copies: RelyingPartyCopies,
    private readonly access: AccessService,
    private readonly enrolled: EnrolledCredentials,
    private readonly approvals: ApprovalAnswers,
  ) {}

  @Get()
  @Requires('relying-parties:read')
  async list(@Context() context: AuthorizedContext): Promise<{ data: RelyingPartyResponse[] }> {
    const parties = await this.parties.list(context);
    const warnings = await this.parties.listWarnings(context.relyingParties, parties);
    return { data: parties.map((party, at) => RelyingPartyResponse.of(party, warnings[at])) };
  }

  @Get(':rpId')
  @Requires('relying-parties:read')
  async get(@Context() context: AuthorizedContext, @Param() { rpId }: RpIdParam): Promise<RelyingPartyResponse> {
    await this.access.authorizeRelyingParty(context, rpId);
    return this.toResponse(context, await this.parties.get(rpId));
  }

  @Put(':rpId')
  @Requires('relying-parties:write')
  async put(
    @Context() context: AuthorizedContext,
    @Param() { rpId }: RpIdParam,
    @Query() { dryRun }: PutRelyingPartyQuery,
    @Body() settings: PutRelyingPartyDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<RelyingPartyResponse | DryRunResponse | ApprovalResponse> {
    await this.access.authorizeRelyingParty(context, rpId);
    if ((settings.rpId ?? rpId) !== rpId) {
      throw createMalformedProblem('is not the RP ID in the path', '/rpId');
    }
    if (settings.successor) await this.access.authorizeRelyingParty(context, settings.successor.rpId);
    if (dryRun === 'true') {
      const { party, warnings } = await this.parties.propose(rpId, settings);
      const { policy } = party;
      const enabled = party.enabled && !this.parties.hasEnded(party);
      const wouldRefuse = await this.enrolled.findRefused({ rpId, enabled, policy });
      return Object.assign(await this.toResponse(context, party, warnings), { wouldRefuse });
    }
    const { party, created, approval, warnings } = await this.parties.put(context, rpId, settings);
    if (approval) return this.approvals.accept(approval, reply);
    this.copies.forget(rpId);
    void reply.status(created ? HttpStatus.CREATED : HttpStatus.OK);
    return this.toResponse(context, party, warnings);
  }

  private async toResponse(
    context: AuthorizedContext,
    party: RelyingPartyEntity,
    more: readonly PolicyWarning[] = [],
  ): Promise<RelyingPartyResponse> {
    const [warnings = []] = await this.parties.listWarnings(context.relyingParties, [party]);
    return RelyingPartyResponse.of(party, [...warnings, ...more]);
  }

  /** Makes the document that the operator serves at https://{rpId}/.well-known/webauthn (WebAuthn L3 §5.11). */
  @Get(':rpId/related-origins')
  @Requires('relying-parties:read')
  async relatedOrigins(
    @Context() context: AuthorizedContext,
    @Param() { rpId }: RpIdParam,
  ): Promise<{ origins: string[] }> {
    await this.access.authorizeRelyingParty(context, rpId);
    const { origins } = await this.parties.get(rpId);
    return { origins: listRelatedOrigins(rpId, origins) };
  }
}
