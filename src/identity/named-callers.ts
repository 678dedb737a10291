/** Whether the access policy in force names a SPIFFE ID. */
export type NamedCallers = (spiffeId: string) => boolean;
export const NAMED_CALLERS = Symbol('NamedCallers');
