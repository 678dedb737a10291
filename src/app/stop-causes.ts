/**
 * Signals that stop the service in order. SIGHUP comes from a closed terminal, and by default ends the process at once.
 */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The pause between two looks for npm: milliseconds. */
const LOOK_MS = 500;

/**
 * Calls `stop` whenever something outside says that the service must end: a signal, the end of the program that has started
 * it with a channel, or the end of npm. npm passes SIGINT and SIGTERM on, but not SIGHUP, and a killed npm passes on nothing.
 */
export function onStop(stop: () => void): void {
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  process.once('disconnect', stop);
  if (process.env['npm_lifecycle_event'] === undefined) return;
  const npm = process.ppid;
  const looking = setInterval(() => {
    if (process.ppid === npm) return;
    clearInterval(looking);
    stop();
  }, LOOK_MS).unref();
}
