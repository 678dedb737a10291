/** Why nothing, or nothing more, is archived. For the operator; what was archived before stays archived. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}
