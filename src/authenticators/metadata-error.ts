/** A metadata file that is not used. The message says why, in the field's words, for whoever provides the file. */
export class MetadataError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
  }
}
