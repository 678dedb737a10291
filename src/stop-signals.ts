/** Each stops the service in order. A terminal that closes sends SIGHUP, which ends a process by itself. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
