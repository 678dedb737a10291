/** Reports a file that the listener cannot use, with the setting that names it and never with its content. */
export class TrustMaterialError extends Error {
  static forSetting(setting: string, problem: string): TrustMaterialError {
    return new TrustMaterialError(`PASSKEY_TLS_${setting}: ${problem}`);
  }

  /** Names all files, because OpenSSL does not say which one is wrong. */
  static forAnySetting(error: unknown): TrustMaterialError {
    return new TrustMaterialError(`PASSKEY_TLS_CERT_FILE, _KEY_FILE, _CA_FILE, _CRL_FILE: ${String(error)}`);
  }
}
