import { Body, Controller, Get, HttpCode, HttpStatus, Param, Patch, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { AccessService } from '../access/access.service.js';
import { Requires } from '../access/permissions.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { IdParam } from '../http/id.param.js';
import type { Page } from '../http/page.js';
import { type AuthorizedContext, Context } from '../http/request-context.js';
import { Receipts } from '../receipts/receipts.service.js';
import { inSpan } from '../telemetry/spans.js';
import type { CredentialEntity } from './credential.entity.js';
import { CredentialsService } from './credentials.service.js';
import { RegisterCredentialDto, VerifyAuthenticationDto } from './dto/ceremony-answer.dto.js';
import { CredentialResponse, type VerifiedResponse } from './dto/credential.response.js';
import { ListCredentialsQuery } from './dto/list-credentials.query.js';
import { ChangeStatusDto, RenameCredentialDto } from './dto/manage-credential.dto.js';
import { makeSignInRules } from './sign-in-rules.js';
import { RegisterCredential } from './register-credential.js';
import { VerifyCredential } from './verify-credential.js';

@Controller('v1/credentials')
export class CredentialsController {
  constructor(
    private readonly registration: RegisterCredential,
    private readonly verification: VerifyCredential,
    private readonly credentials: CredentialsService,
    private readonly authenticators: AuthenticatorsService,
    private readonly access: AccessService,
    private readonly receipts: Receipts,
  ) {}

  @Post()
  @Requires('passkeys:register')
  async register(
    @Context() context: AuthorizedContext,
    @Body() answer: RegisterCredentialDto,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CredentialResponse> {
    const credential = await inSpan('verify a registration', {}, () => this.registration.register(context, answer));
    void reply.header('location', `/v1/credentials/${credential.id}`);
    return this.toResponse(credential);
  }

  @Post('verify')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:authenticate')
  async verify(
    @Context() context: AuthorizedContext,
    @Body() answer: VerifyAuthenticationDto,
  ): Promise<VerifiedResponse> {
    const rules = makeSignInRules(answer.purpose);
    const verify = () => this.verification.verify(context, answer, rules);
    return this.receipts.accompany(
      context,
      'authentication',
      answer.receipt,
      async () => (await inSpan('verify an authentication', {}, verify)).shown,
    );
  }

  @Get()
  @Requires('passkeys:read')
  async list(
    @Context() context: AuthorizedContext,
    @Query() query: ListCredentialsQuery,
  ): Promise<Page<CredentialResponse>> {
    if (query.rpId !== undefined) await this.access.authorizeRelyingParty(context, query.rpId);
    return this.credentials.list(context, query);
  }

  @Get(':id')
  @Requires('passkeys:read')
  async get(@Context() context: AuthorizedContext, @Param() { id }: IdParam): Promise<CredentialResponse> {
    return this.toResponse(await this.credentials.get(context, id));
  }

  @Patch(':id')
  @Requires('passkeys:manage')
  async rename(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { name }: RenameCredentialDto,
  ): Promise<CredentialResponse> {
    return this.toResponse(await this.credentials.rename(context, id, name));
  }

  @Post(':id/suspend')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  async suspend(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<CredentialResponse> {
    return this.toResponse(await this.credentials.transition(context, id, 'suspend', reason));
  }

  @Post(':id/reinstate')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  async reinstate(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<CredentialResponse> {
    return this.toResponse(await this.credentials.transition(context, id, 'reinstate', reason));
  }

  @Post(':id/revoke')
  @HttpCode(HttpStatus.OK)
  @Requires('passkeys:manage')
  async revoke(
    @Context() context: AuthorizedContext,
    @Param() { id }: IdParam,
    @Body() { reason }: ChangeStatusDto,
  ): Promise<CredentialResponse> {
    return this.toResponse(await this.credentials.transition(context, id, 'revoke', reason));
  }

  private toResponse(credential: CredentialEntity): CredentialResponse {
    return CredentialResponse.of(credential, this.authenticators.findLabel(credential.aaguid));
  }
}
