/** What the audit log says of a payment. A member of another type than text counts as absent. */
export interface LoggedPayment {
  readonly id: string | undefined;
  readonly type: string | undefined;
  readonly status: string | undefined;
  /** RFC 3339 */
  readonly time: string | undefined;
  readonly rpId: string | undefined;
  /** The user's pseudonym, or the stand-in of a stranger. */
  readonly pseudonym: string | undefined;
  /** The caller's id of the user: only if the service has added it to the event. */
  readonly userId: string | undefined;
  /** The service's id of the passkey, and the authenticator's in base64url. */
  readonly credential: { readonly id: string | undefined; readonly credentialId: string | undefined };
  /** Digests and the thumbprint of the browser-bound key, base64url. */
  readonly transactionDigest: string | undefined;
  readonly clientDataHash: string | undefined;
  readonly authenticatorDataHash: string | undefined;
  readonly signatureHash: string | undefined;
  readonly browserKey: string | undefined;
}

/** @param shown the event as the API shows it, as a line of an export has it, or as it was recorded */
export function readLoggedPayment(shown: unknown): LoggedPayment {
  const record = getText(shown, 'kind') === 'event' ? getMember(shown, 'event') : shown;
  const [metadata, unmapped, user] = ['metadata', 'unmapped', 'user'].map((name) => getMember(record, name));
  const credential = getMember(unmapped, 'credential');
  const [uid, alternative] = [getText(user, 'uid'), getText(user, 'uid_alt')];
  return {
    id: getText(metadata, 'uid'),
    type: getText(metadata, 'event_code'),
    status: getText(record, 'status'),
    time: getText(record, 'time_dt'),
    rpId: getText(unmapped, 'rp_id'),
    pseudonym: alternative ?? uid,
    userId: alternative === undefined ? undefined : uid,
    credential: { id: getText(credential, 'uid'), credentialId: getText(credential, 'credential_id') },
    transactionDigest: getText(unmapped, 'transaction_digest'),
    clientDataHash: getText(unmapped, 'client_data_hash'),
    authenticatorDataHash: getText(unmapped, 'authenticator_data_hash'),
    signatureHash: getText(unmapped, 'signature_hash'),
    browserKey: getText(unmapped, 'browser_key'),
  };
}

function getMember(value: unknown, name: string): unknown {
  const isObject = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
  return isObject ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
}

function getText(value: unknown, name: string): string | undefined {
  const text = getMember(value, name);
  return typeof text === 'string' ? text : undefined;
}
