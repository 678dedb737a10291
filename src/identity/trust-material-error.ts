/** Files that the listener cannot use, with the setting that names the file at fault; never what is in them. */
export class TrustMaterialError extends Error {
  static of(setting: string, problem: string): TrustMaterialError {
    return new TrustMaterialError(`PASSKEY_TLS_${setting}: ${problem}`);
  }
}
