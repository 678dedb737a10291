/** The SPIFFE trust domain of the listener, from the access policy. */
export const TRUST_DOMAIN = Symbol('TrustDomain');
