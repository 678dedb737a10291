const BROWSER_WRITTEN = new WeakSet<object>();

/**
 * Marks a class of members that a browser writes, not the caller: browsers add members over the years (WebAuthn L3 §5.1
 * dictionaries grow), so a member that the class does not declare is dropped instead of refused.
 */
export function BrowserWritten(): ClassDecorator {
  return (target) => {
    BROWSER_WRITTEN.add(target);
  };
}

export function isBrowserWritten(dto: object): boolean {
  return BROWSER_WRITTEN.has(dto);
}
