/** Files that the listener cannot use, with the setting that names the file at fault; never what is in them. */
export class TrustMaterialError extends Error {
  static of(setting: string, problem: string): TrustMaterialError {
    return new TrustMaterialError(`PASSKEY_TLS_${setting}: ${problem}`);
  }

  /** OpenSSL does not say which file it is. */
  static ofAll(error: unknown): TrustMaterialError {
    return new TrustMaterialError(`PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ${String(error)}`);
  }
}
