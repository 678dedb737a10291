import { refuseUnless } from './refusal.js';

/**
 * Decodes base64url without padding. It is strict: no other characters and no stray bits (RFC 4648 §5 and §3.5).
 *
 * @throws Refusal malformed
 */
export function decodeBase64url(encoded: string, member: string): Buffer {
  const bytes = Buffer.from(encoded, 'base64url');
  refuseUnless(bytes.toString('base64url') === encoded, 'malformed', `${member} is not base64url`);
  return bytes;
}
