import { Inject, Injectable } from '@nestjs/common';
import { authenticatorName } from './authenticator-names.js';
import { MetadataFile } from './metadata-file.js';
import { certificationOf, type Standing, standingOf } from './status-reports.js';

/** What an authenticator model is called, and its icon as a `data:` URL. */
export interface AuthenticatorLabel {
  readonly name: string;
  readonly icon?: string;
}

/**
 * What is known of authenticator models. An AAGUID without trusted attestation is a claim: good for a label and for a
 * refusal, never for trust.
 */
@Injectable()
export class AuthenticatorsService {
  constructor(@Inject(MetadataFile) private readonly metadata: Pick<MetadataFile, 'modelOf'>) {}

  /** FIDO metadata says it better than the project's own list, which has the passkey providers that metadata lacks. */
  nameOf(aaguid: string): AuthenticatorLabel | null {
    const model = this.metadata.modelOf(aaguid);
    const name = model?.description ?? authenticatorName(aaguid);
    if (name === undefined) return null;
    return model?.icon === undefined ? { name } : { name, icon: model.icon };
  }

  isKnown(aaguid: string): boolean {
    return this.metadata.modelOf(aaguid) !== undefined || authenticatorName(aaguid) !== undefined;
  }

  /** PEM: what an attestation of this model may lead to, or be. Empty where metadata does not name the model. */
  rootsOf(aaguid: string): readonly string[] {
    return this.metadata.modelOf(aaguid)?.roots ?? [];
  }

  /** As the registry spells them: `basic_full`, `basic_surrogate`, `attca`, … */
  attestationTypesOf(aaguid: string): readonly string[] {
    return this.metadata.modelOf(aaguid)?.attestationTypes ?? [];
  }

  /** Of a model that metadata does not name, nothing bad is known. */
  standing(aaguid: string, now: Date): Standing {
    return standingOf(this.metadata.modelOf(aaguid)?.reports ?? [], now);
  }

  /** FIDO_CERTIFIED, FIDO_CERTIFIED_L1 … FIDO_CERTIFIED_L3plus, or null. */
  certificationLevel(aaguid: string, now: Date): string | null {
    return certificationOf(this.metadata.modelOf(aaguid)?.reports ?? [], now);
  }
}
