/** The SPIFFE trust domain of the listener, as the access policy names it. */
export const TRUST_DOMAIN = Symbol('TrustDomain');
