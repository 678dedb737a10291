/** A metadata file that cannot be used. The message tells its provider why, in the words of the specification. */
export class MetadataError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MetadataError';
  }
}
