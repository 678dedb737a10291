/** Tells the operator why archiving stops. What was archived before stays archived. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}
