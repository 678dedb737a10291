import { hash } from 'node:crypto';
import { encode } from 'cborg';
import { decodeBase64url } from './client-data.js';
import { decodeWhole } from './cbor.js';
import { describeAlgorithm, MAX_KEY_BYTES, verifyPublicKey } from './cose.js';
import { inClause, Refusal, refuseUnless } from './refusal.js';
import { verifyAssertionSignature } from './signature.js';

/** The key of one browser on one device, which never leaves it (SPC §6). */
export interface BrowserBoundKey {
  /** The COSE_Key's bytes, as the browser wrote them. */
  readonly publicKey: Buffer;
  /** The COSE Key Thumbprint with SHA-256 (RFC 9679), which does not depend on how the key is encoded. */
  readonly thumbprint: Buffer;
}

/** In order of preference: ES256 and RS256, the algorithms from which a browser chooses without a list (SPC §6.1). */
export const BROWSER_KEY_ALGORITHMS: readonly number[] = [-7, -257];

/** `browserBoundPubKeyCredParams` of a registration and of a payment (SPC §5 and §4.4). */
export const BROWSER_KEY_PARAMS: readonly { readonly type: 'public-key'; readonly alg: number }[] =
  BROWSER_KEY_ALGORITHMS.map((alg) => ({ type: 'public-key', alg }));

/**
 * Verifies a browser-bound key by its signature over the raw client data. Call it once the signature of the passkey
 * holds: until then, nobody vouches for the key (SPC §11.3).
 *
 * @param encodedKey `payment.browserBoundPublicKey` of the client data, as it was received
 * @param outputs `clientExtensionResults` of the answer, as they were received; a signature of null counts as absent
 * @returns undefined if the browser has no such key
 * @throws Refusal browser-key-invalid
 */
export function verifyBrowserBoundKey(
  encodedKey: unknown,
  outputs: unknown,
  clientData: Buffer,
): BrowserBoundKey | undefined {
  const signed = getMember(getMember(outputs, 'payment'), 'browserBoundSignature') ?? undefined;
  if (encodedKey === undefined && signed === undefined) return undefined;
  const [publicKey, members] = inClause('SPC §6.4', () => decodeKey(encodedKey));
  inClause('SPC §6.5', () => {
    refuseUnless(signed !== undefined, 'browser-key-invalid', 'there is no browserBoundSignature by the key');
    const signature = decodeText(getMember(signed, 'signature'), 'browserBoundSignature.signature');
    refuseUnless(
      verifyAssertionSignature(publicKey, clientData, signature),
      'browser-key-invalid',
      'browserBoundSignature was not made by the browser-bound key over this client data',
    );
  });
  return { publicKey, thumbprint: makeThumbprint(members) };
}

type CoseKey = ReadonlyMap<unknown, unknown>;

function decodeKey(encoded: unknown): [Buffer, CoseKey] {
  refuseUnless(encoded !== undefined, 'browser-key-invalid', 'there is no browserBoundPublicKey for the signature');
  const bytes = decodeText(encoded, 'browserBoundPublicKey');
  refuseUnless(bytes.length <= MAX_KEY_BYTES, 'browser-key-invalid', 'browserBoundPublicKey is too long');
  try {
    const key = decodeWhole(bytes, 'browserBoundPublicKey');
    refuseUnless(key instanceof Map, 'browser-key-invalid', 'browserBoundPublicKey is not a CBOR map (COSE_Key)');
    const algorithm = verifyPublicKey(key);
    const known = BROWSER_KEY_ALGORITHMS.includes(algorithm);
    refuseUnless(
      known,
      'browser-key-invalid',
      `browserBoundPublicKey is for ${describeAlgorithm(algorithm)}, not for ES256 or RS256`,
    );
    return [bytes, key];
  } catch (error) {
    throw error instanceof Refusal ? new Refusal('browser-key-invalid', error.detail) : error;
  }
}

/** RFC 9679 §3 and §4: the required members only, in CBOR's deterministic encoding. */
function makeThumbprint(key: CoseKey): Buffer {
  const labels = key.get(1) === 2 ? [1, -1, -2, -3] : [1, -1, -2];
  return hash('sha256', encode(new Map(labels.map((label) => [label, key.get(label)]))), 'buffer');
}

function decodeText(encoded: unknown, name: string): Buffer {
  refuseUnless(typeof encoded === 'string', 'browser-key-invalid', `${name} is not text`);
  try {
    return decodeBase64url(encoded, name);
  } catch (error) {
    throw error instanceof Refusal ? new Refusal('browser-key-invalid', error.detail) : error;
  }
}

const getMember = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
