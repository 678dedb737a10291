import { Inject, Injectable } from '@nestjs/common';
import { authenticatorName } from './authenticator-names.js';
import { MetadataFile } from './metadata-file.js';
import { certificationOf, type Standing, standingOf } from './status-reports.js';

/** The name of an authenticator model, and its icon as a `data:` URL. */
export interface AuthenticatorLabel {
  readonly name: string;
  readonly icon?: string;
}

/**
 * Answers questions about authenticator models. Without a trusted attestation an AAGUID is only a claim: good enough
 * for a label and for a refusal, never for trust.
 */
@Injectable()
export class AuthenticatorsService {
  constructor(@Inject(MetadataFile) private readonly metadata: Pick<MetadataFile, 'modelOf'>) {}

  /** Prefers the name in FIDO metadata. The list of this project adds the passkey providers that metadata lacks. */
  nameOf(aaguid: string): AuthenticatorLabel | null {
    const model = this.metadata.modelOf(aaguid);
    const name = model?.description ?? authenticatorName(aaguid);
    if (name === undefined) return null;
    return model?.icon === undefined ? { name } : { name, icon: model.icon };
  }

  isKnown(aaguid: string): boolean {
    return this.metadata.modelOf(aaguid) !== undefined || authenticatorName(aaguid) !== undefined;
  }

  /**
   * Certificates in PEM that an attestation of this model may lead to, or be. Empty if metadata does not name the
   * model.
   */
  rootsOf(aaguid: string): readonly string[] {
    return this.metadata.modelOf(aaguid)?.roots ?? [];
  }

  /** Attestation types as the FIDO registry spells them: `basic_full`, `basic_surrogate`, `attca`, … */
  attestationTypesOf(aaguid: string): readonly string[] {
    return this.metadata.modelOf(aaguid)?.attestationTypes ?? [];
  }

  /** The standing of a model; good if metadata does not name it. */
  standing(aaguid: string, now: Date): Standing {
    return standingOf(this.metadata.modelOf(aaguid)?.reports ?? [], now);
  }

  /** FIDO_CERTIFIED, FIDO_CERTIFIED_L1 … FIDO_CERTIFIED_L3plus; null: none. */
  certificationLevel(aaguid: string, now: Date): string | null {
    return certificationOf(this.metadata.modelOf(aaguid)?.reports ?? [], now);
  }
}
