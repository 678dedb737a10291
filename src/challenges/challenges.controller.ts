import { Body, Controller, Post } from '@nestjs/common';
import type { CreationOptions, PublicKeyCredentialRequestOptionsJSON } from '../webauthn/options.js';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { ChallengesService } from './challenges.service.js';
import { IssueAuthenticationChallengeDto, IssueRegistrationChallengeDto } from './dto/issue-challenge.dto.js';
import type { IssuedChallengeResponse } from './dto/issued-challenge.response.js';

@Controller('v1/challenges')
export class ChallengesController {
  constructor(
    private readonly challenges: ChallengesService,
    private readonly access: AccessService,
  ) {}

  @Post('registration')
  @Requires('passkeys:register')
  async registration(
    @Context() context: AuthorizedContext,
    @Body() request: IssueRegistrationChallengeDto,
  ): Promise<IssuedChallengeResponse<CreationOptions>> {
    await this.access.authorizeRelyingParty(context, request.rpId);
    return this.challenges.issueForRegistration(context, request);
  }

  @Post('authentication')
  @Requires('passkeys:authenticate')
  async authentication(
    @Context() context: AuthorizedContext,
    @Body() request: IssueAuthenticationChallengeDto,
  ): Promise<IssuedChallengeResponse<PublicKeyCredentialRequestOptionsJSON>> {
    await this.access.authorizeRelyingParty(context, request.rpId);
    return this.challenges.issueForAuthentication(context, request);
  }
}
