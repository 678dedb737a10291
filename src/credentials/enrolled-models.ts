import { Global, Inject, Injectable, Module } from '@nestjs/common';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { AuthenticatorsService } from '../authenticators/authenticators.service.js';
import { CLOCK, type Clock } from '../config/clock.js';
import { EnrolledCredentials, type ExpectedRefusal } from '../relying-parties/enrolled-credentials.js';
import type { RelyingPartyPolicy } from '../relying-parties/relying-party-policy.js';
import { type Reason, Refusal } from '../webauthn/refusal.js';
import { demandAllowedModel, demandBackup } from './authenticator-policy.js';
import { CredentialRepository, type EnrolledModel } from './credential.repository.js';

type Settings = Parameters<EnrolledCredentials['findRefused']>[0];

/** Checks the active passkeys of a relying party against a policy, by the rules of a sign-in, one model at a time. */
@Injectable()
class EnrolledModels extends EnrolledCredentials {
  constructor(
    private readonly credentials: CredentialRepository,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly authenticators: AuthenticatorsService,
  ) {
    super();
  }

  async findRefused({ rpId, enabled, policy }: Settings): Promise<ExpectedRefusal[]> {
    const models = await this.credentials.countActiveModels(rpId);
    return models.flatMap((model) => {
      const reason = enabled ? this.findRefusal(model, policy) : 'relying-party-denied';
      if (reason === undefined) return [];
      const { aaguid, credentials } = model;
      return [{ aaguid, name: this.authenticators.findLabel(aaguid)?.name ?? null, credentials, reason }];
    });
  }

  private findRefusal({ aaguid, backup_eligible }: EnrolledModel, policy: RelyingPartyPolicy): Reason | undefined {
    try {
      demandAllowedModel(policy.authenticators, aaguid, this.authenticators, this.clock.now());
      demandBackup(policy.backup, backup_eligible);
      return undefined;
    } catch (error) {
      if (error instanceof Refusal) return error.reason;
      throw error;
    }
  }
}

/**
 * Provides EnrolledCredentials to the relying parties module. It is global because that module cannot import this one.
 */
@Global()
@Module({
  imports: [AuthenticatorsModule],
  providers: [CredentialRepository, { provide: EnrolledCredentials, useClass: EnrolledModels }],
  exports: [EnrolledCredentials],
})
export class EnrolledModelsModule {}
