import { Global, Inject, Injectable, Module } from '@nestjs/common';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import type { RequestContext } from '../http/request-context.js';
import {
  EnrolledCredentials,
  type EnrolledPasskey,
  type ExpectedRefusal,
} from '../relying-parties/enrolled-credentials.js';
import { type AppliedPolicy, applyPurpose } from '../relying-parties/purposes.js';
import { type Reason, Refusal } from '../webauthn/refusal.js';
import { demandAllowedModel, demandAttestation, demandBackup } from './authenticator-policy.js';
import { CredentialBindings } from './credential-bindings.js';
import { CredentialsModule } from './credentials.module.js';
import { CredentialRepository, type EnrolledKind } from './credential.repository.js';

type Settings = Parameters<EnrolledCredentials['findRefused']>[0];

/** Finds active passkeys for relying parties and challenges. */
@Injectable()
class EnrolledModels extends EnrolledCredentials {
  constructor(
    private readonly credentials: CredentialRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly authenticators: AuthenticatorsService,
    private readonly bindings: CredentialBindings,
  ) {
    super();
  }

  async listPasskeys(context: RequestContext, rpId: string, userId: string): Promise<EnrolledPasskey[]> {
    const found = await this.credentials.listActive(rpId, userId);
    const genuine = await this.bindings.keepGenuine(context, found);
    return genuine.map(({ credentialId, backupEligible, attestationTrust, lastSignInAt }) => {
      return { credentialId, backupEligible, trusted: attestationTrust === 'trusted', lastSignInAt };
    });
  }

  /**
   * Checks the active passkeys of a relying party against a policy, by the rules of a sign-in, one model at a time. What the
   * policy refuses anyway counts for no purpose.
   */
  async findRefused({ rpId, enabled, policy }: Settings): Promise<ExpectedRefusal[]> {
    const kinds = await this.credentials.countActiveKinds(rpId);
    if (!enabled) return this.group(kinds, () => 'relying-party-denied');
    const alone = applyPurpose(policy, undefined);
    const byPurpose = Object.keys(policy.purposes).flatMap((purpose) => {
      const accepted = kinds.filter((kind) => this.findRefusal(kind, alone) === undefined);
      const applied = applyPurpose(policy, purpose);
      return this.group(accepted, (kind) => this.findRefusal(kind, applied)).map((refused) => ({
        ...refused,
        purpose,
      }));
    });
    return [...this.group(kinds, (kind) => this.findRefusal(kind, alone)), ...byPurpose];
  }

  /** Adds up the passkeys of a model that are refused for the same reason. */
  private group(
    kinds: readonly EnrolledKind[],
    findReason: (kind: EnrolledKind) => string | undefined,
  ): ExpectedRefusal[] {
    const refused = new Map<string, ExpectedRefusal>();
    for (const kind of kinds) {
      const reason = findReason(kind);
      if (reason === undefined) continue;
      const { aaguid } = kind;
      const name = this.authenticators.findLabel(aaguid)?.name ?? null;
      const key = `${aaguid} ${reason}`;
      const credentials = (refused.get(key)?.credentials ?? 0) + kind.credentials;
      refused.set(key, { aaguid, name, credentials, reason });
    }
    return [...refused.values()].sort((one, other) => other.credentials - one.credentials);
  }

  private findRefusal(
    { aaguid, backup_eligible: backupEligible, attestation_trust: attestationTrust }: EnrolledKind,
    policy: AppliedPolicy,
  ): Reason | undefined {
    try {
      demandAllowedModel(policy.authenticators, aaguid, this.authenticators, this.clock.now());
      if (backupEligible !== null) demandBackup(policy.backup, backupEligible);
      demandAttestation(policy.admission, { attestationTrust });
      return undefined;
    } catch (error) {
      if (error instanceof Refusal) return error.reason;
      throw error;
    }
  }
}

/**
 * Provides EnrolledCredentials to the modules of relying parties and challenges. It is global because those modules cannot import this one.
 */
@Global()
@Module({
  imports: [AuthenticatorsModule, CredentialsModule],
  providers: [CredentialRepository, { provide: EnrolledCredentials, useClass: EnrolledModels }],
  exports: [EnrolledCredentials],
})
export class EnrolledModelsModule {}
