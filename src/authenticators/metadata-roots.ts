/** The roots in PEM. The signer of FIDO metadata must lead to one of them. */
export const METADATA_ROOTS = Symbol('MetadataRoots');
