/**
 * `log-altered`: the stored log is not what was signed, or not signed by us. `log-truncated`: it has fewer leaves than
 * it had or than were signed.
 */
export type LogFaultKind = 'log-altered' | 'log-truncated';

/** The stored log is not the one that was signed. It must not be continued, because that would sign a fork. */
export class LogFault extends Error {
  override readonly name = 'LogFault';

  constructor(
    readonly kind: LogFaultKind,
    reason: string,
  ) {
    super(reason);
  }
}
