const BROWSER_WRITTEN = new WeakSet<object>();

/**
 * Marks a class whose members a browser writes, not the caller. Browsers add members over the years (the dictionaries
 * of WebAuthn L3 §5.1 grow), so the service drops a member that the class does not declare, and does not refuse it.
 */
export function BrowserWritten(): ClassDecorator {
  return (target) => {
    BROWSER_WRITTEN.add(target);
  };
}

export function isBrowserWritten(dto: object): boolean {
  return BROWSER_WRITTEN.has(dto);
}
