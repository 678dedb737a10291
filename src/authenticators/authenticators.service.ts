import { Inject, Injectable } from '@nestjs/common';
import { findAuthenticatorName } from './authenticator-names.js';
import { MetadataFile } from './metadata-file.js';
import { type Standing, decideStanding, findCertification } from './status-reports.js';

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
  constructor(@Inject(MetadataFile) private readonly metadata: Pick<MetadataFile, 'findModel'>) {}

  /** Prefers the name in FIDO metadata. The list of this project adds the passkey providers that metadata lacks. */
  findLabel(aaguid: string): AuthenticatorLabel | null {
    const model = this.metadata.findModel(aaguid);
    const name = model?.description ?? findAuthenticatorName(aaguid);
    if (name === undefined) return null;
    return model?.icon === undefined ? { name } : { name, icon: model.icon };
  }

  isKnown(aaguid: string): boolean {
    return this.metadata.findModel(aaguid) !== undefined || findAuthenticatorName(aaguid) !== undefined;
  }

  /**
   * Certificates in PEM that an attestation of this model may lead to, or be. Empty if metadata does not name the
   * model.
   */
  listRoots(aaguid: string): readonly string[] {
    return this.metadata.findModel(aaguid)?.roots ?? [];
  }

  /** The standing of a model; good if metadata does not name it. */
  findStanding(aaguid: string, now: Date): Standing {
    return decideStanding(this.metadata.findModel(aaguid)?.reports ?? [], now);
  }

  /** The FIDO certification of a model, such as `FIDO_CERTIFIED_L2`; undefined: it has none, or metadata does not name it. */
  findCertification(aaguid: string, now: Date): string | undefined {
    return findCertification(this.metadata.findModel(aaguid)?.reports ?? [], now);
  }
}
