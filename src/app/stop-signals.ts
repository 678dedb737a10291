/**
 * Signals that stop the service in order. SIGHUP comes from a closed terminal, and by default ends the process at once.
 */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
