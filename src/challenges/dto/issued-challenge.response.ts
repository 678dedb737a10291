import type { PublicKeyCredentialRequestOptionsJSON } from '../../webauthn/json.js';
import type { CreationOptions } from '../../webauthn/options.js';

export interface IssuedChallengeResponse<Options extends CreationOptions | PublicKeyCredentialRequestOptionsJSON> {
  challengeId: string;
  expiresAt: Date;
  publicKey: Options;
}
