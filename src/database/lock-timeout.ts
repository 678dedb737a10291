/** SQLSTATE lock_not_available */
const LOCK_NOT_AVAILABLE = '55P03';

/** Reports whether a statement failed because another session holds a lock that it needs. */
export function isLockTimeout(error: unknown): boolean {
  return (error as { driverError?: { code?: unknown } }).driverError?.code === LOCK_NOT_AVAILABLE;
}
