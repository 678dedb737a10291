/** True if the access policy in force names the SPIFFE ID. */
export type NamedCallers = (spiffeId: string) => boolean;
export const NAMED_CALLERS = Symbol('NamedCallers');
