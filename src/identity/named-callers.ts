/** Returns true if the current access policy names the SPIFFE ID. */
export type NamedCallers = (spiffeId: string) => boolean;
export const NAMED_CALLERS = Symbol('NamedCallers');
