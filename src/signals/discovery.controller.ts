import { Controller, Get, Header, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Requires } from '../access/permissions.js';
import { answerKeySet } from '../signing-keys/publish-keys.js';
import { PushSender } from '../push/push-sender.js';
import { SignalKeys } from './signal-keys.js';
import { POLL, PUSH } from './stream.entity.js';

/** The paths of the endpoints that SSF 1.0 §7.1 names. Those of polls are in the configuration of each stream. */
const ENDPOINTS = {
  jwks_uri: '/v1/signals/jwks',
  configuration_endpoint: '/v1/signals/streams',
  status_endpoint: '/v1/signals/status',
  add_subject_endpoint: '/v1/signals/subjects/add',
  remove_subject_endpoint: '/v1/signals/subjects/remove',
  verification_endpoint: '/v1/signals/verification',
};

/** Transmitter Configuration Metadata (SSF 1.0 §7.1). */
export interface TransmitterConfiguration extends Readonly<Record<keyof typeof ENDPOINTS, string>> {
  readonly spec_version: '1_0';
  readonly issuer: string;
  readonly delivery_methods_supported: readonly string[];
  readonly authorization_schemes: readonly { readonly spec_urn: string }[];
  readonly default_subjects: 'ALL';
}

/** Says where and how receivers get signals. */
@Controller()
export class DiscoveryController {
  constructor(
    private readonly keys: SignalKeys,
    private readonly sender: PushSender,
  ) {}

  /** SSF 1.0 §7.2. */
  @Get('.well-known/ssf-configuration')
  @Requires('any')
  @Header('cache-control', 'public, max-age=300')
  getConfiguration(): TransmitterConfiguration {
    const { issuer } = this.keys;
    const urls = Object.entries(ENDPOINTS).map(([member, path]) => [member, `${issuer}${path}`]);
    return {
      spec_version: '1_0',
      issuer,
      ...(Object.fromEntries(urls) as Record<keyof typeof ENDPOINTS, string>),
      delivery_methods_supported: this.sender.isConfigured ? [POLL, PUSH] : [POLL],
      authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:8705' }],
      default_subjects: 'ALL',
    };
  }

  @Get('v1/signals/jwks')
  @Requires('any')
  getKeys(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): string | undefined {
    return answerKeySet(this.keys.published, request, reply);
  }
}
