/** altered: not what was signed, or not by us; truncated: less than there was. */
export type LogFaultKind = 'log-altered' | 'log-truncated';

/** The stored log is not the one that was signed. It must not be continued: that would sign a fork of it. */
export class LogFault extends Error {
  override readonly name = 'LogFault';

  constructor(
    readonly kind: LogFaultKind,
    reason: string,
  ) {
    super(reason);
  }
}
