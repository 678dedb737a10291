import type { SealedUser } from '../audit/sealed-user.js';
import { readBrowserKeys } from '../credentials/browser-keys.js';
import type { CredentialEntity } from '../credentials/credential.entity.js';

/**
 * Writes the line of a credential, with everything that an import into another deployment needs for the same state
 * (dto/credential-line.dto.ts). The seal and the version stay behind: they are of this deployment and its log.
 *
 * @param credential whose seal was verified
 * @param origin the name of the deployment, and the time of the export
 */
export function formatCredential(
  credential: CredentialEntity,
  user: SealedUser,
  origin: { source: string; now: Date },
): string {
  const { credentialId, userId, userHandle, publicKey, attestationFormat, attestationTrust, ...rest } = credential;
  const { version, bindingMac, browserKeys, lastUsedAt, ...members } = rest;
  const held = userHandle ?? user.handle;
  const line = {
    credentialId: credentialId.toString('base64url'),
    userId,
    userHandle: held.length > 0 ? held.toString('base64url') : undefined,
    publicKey: publicKey.toString('base64url'),
    source: origin.source,
    ...members,
    lastUsedAt: isPast(lastUsedAt, origin.now) ? lastUsedAt : undefined,
    attestation: { format: attestationFormat, trust: attestationTrust },
    browserKeys: browserKeys === null ? undefined : readBrowserKeys(credential),
  };
  return `${JSON.stringify(line, leaveOutNull)}\n`;
}

/** No seal covers the time of the last use, so SQL may have set any, which an import would refuse. */
function isPast(time: unknown, now: Date): boolean {
  return time instanceof Date && time.getTime() >= 0 && time <= now;
}

/** What is not known is absent. */
function leaveOutNull(_: string, value: unknown): unknown {
  return value ?? undefined;
}
