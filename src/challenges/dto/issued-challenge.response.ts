import type { PublicKeyCredentialRequestOptionsJSON } from '@simplewebauthn/server';
import type { CreationOptions } from '../../webauthn/options.js';

export interface IssuedChallengeResponse<Options extends CreationOptions | PublicKeyCredentialRequestOptionsJSON> {
  challengeId: string;
  expiresAt: Date;
  publicKey: Options;
}
