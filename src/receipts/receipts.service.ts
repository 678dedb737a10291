import { Inject, Injectable } from '@nestjs/common';
import { AccessService } from '../access/access.service.js';
import { Refusals } from '../audit/refusals.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import type { AssertionCeremony } from '../challenges/challenge.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { CONFIG, type Config } from '../config/config.js';
import type { AuthorizedContext } from '../http/request-context.js';
import { Problem } from '../http/problem.js';
import { type Assured, isAttested, toAcr, toAmr } from './assurance.js';
import type { ReceiptRequestDto } from './dto/receipt-request.dto.js';
import { ReceiptKeys } from './receipt-keys.js';
import { Metrics } from '../telemetry/metrics.js';
import { type JwtSigner, signJwt } from '../signing-keys/sign-jwt.js';

/** The `typ` of a receipt's header (RFC 8725 §3.11). */
const TYPE = 'passkey-receipt+jwt';
/** How long a receipt is valid, in seconds. */
const LIFETIME = 60;

/** A ceremony whose outcome is stored, as its answer describes it. */
export interface VerifiedCeremony extends Assured {
  readonly rpId: string;
  readonly userId: string;
  readonly purpose?: string | null;
  readonly credential: Assured['credential'] & {
    readonly aaguid: string;
    readonly authenticator: { readonly name: string } | null;
    /** Flag BS of WebAuthn L3 §6.1. */
    readonly backedUp: boolean;
  };
  /** SHA-256 of what the user confirmed, base64url. */
  readonly digest?: string;
  readonly verifiedAt: Date;
  readonly auditId: string;
}

/** Signs receipts of verified ceremonies. Nothing of a receipt is stored: the event of the ceremony names its audience and key. */
@Injectable()
export class Receipts {
  private readonly issuer: string;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(CONFIG) { deploymentName }: Pick<Config, 'deploymentName'>,
    private readonly keys: ReceiptKeys,
    private readonly access: AccessService,
    private readonly refusals: Refusals,
    private readonly authenticators: AuthenticatorsService,
    private readonly metrics: Metrics,
  ) {
    this.issuer = `passkey-manager/${deploymentName}`;
  }

  /**
   * Verifies a ceremony, and adds a receipt to its answer if the caller asks for one. What refuses the receipt refuses the
   * request before `verify` runs, so the challenge is not spent.
   *
   * @throws Problem permission-denied, receipts-not-configured; what `verify` throws
   */
  async accompany<Verified extends VerifiedCeremony>(
    context: AuthorizedContext,
    ceremony: AssertionCeremony,
    request: ReceiptRequestDto | undefined,
    verify: () => Promise<Verified>,
  ): Promise<Verified & { receipt?: string }> {
    if (request === undefined) return verify();
    const { audience } = request;
    const key = await this.authorize(context, audience);
    const verified = await verify();
    const receipt = this.issue(verified, ceremony, audience, key);
    this.metrics.receipts.inc({ ceremony });
    return { ...verified, receipt };
  }

  /** @returns the key that will sign. The event of the ceremony names it, so a reload between does not change it. */
  private async authorize(context: AuthorizedContext, audience: string): Promise<JwtSigner> {
    await this.access.authorizeAudience(context, audience);
    const { signer } = this.keys;
    if (!signer) return this.refusals.refuse(context, new Problem('receipts-not-configured'), true);
    context.receipt = { audience, kid: signer.kid };
    return signer;
  }

  private issue(verified: VerifiedCeremony, ceremony: AssertionCeremony, audience: string, key: JwtSigner): string {
    const iat = Math.floor(this.clock.now().getTime() / 1_000);
    const claims = {
      iss: this.issuer,
      aud: audience,
      // A digest alone does not say if the browser itself has shown what was agreed to.
      ceremony,
      ...this.describe(verified),
      iat,
      exp: iat + LIFETIME,
    };
    return signJwt(TYPE, claims, key);
  }

  private describe(verified: VerifiedCeremony): Record<string, unknown> {
    const { userId, rpId, purpose, userVerified, credential, digest, verifiedAt, auditId } = verified;
    return {
      sub: userId,
      jti: auditId,
      auth_time: Math.floor(verifiedAt.getTime() / 1_000),
      acr: toAcr(verified),
      amr: toAmr(verified),
      rp_id: rpId,
      purpose: purpose ?? undefined,
      uv: userVerified,
      be: credential.backupEligible,
      bs: credential.backedUp,
      authenticator: isAttested(credential) ? this.describeModel(credential, verifiedAt) : undefined,
      transaction_digest: digest,
    };
  }

  private describeModel({ aaguid, authenticator }: VerifiedCeremony['credential'], now: Date): Record<string, unknown> {
    const certification = this.authenticators.findCertification(aaguid, now);
    return { aaguid, name: authenticator?.name, certification };
  }
}
