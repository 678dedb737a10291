/** The roots, PEM, to one of which the signer of FIDO metadata must lead. */
export const METADATA_ROOTS = Symbol('MetadataRoots');
