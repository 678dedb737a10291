import type { CreationOptions, PublicKeyCredentialRequestOptionsJSON } from '../../webauthn/options.js';

export interface IssuedChallengeResponse<Options extends CreationOptions | PublicKeyCredentialRequestOptionsJSON> {
  challengeId: string;
  expiresAt: Date;
  publicKey: Options;
}
