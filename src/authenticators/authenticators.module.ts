/**
 * Authenticator models: names for people, and what FIDO metadata and attestation roots say about them.
 *
 *  1. metadata-file.ts watches PASSKEY_MDS_BLOB_FILE. metadata-blob.ts verifies the signature of the BLOB and
 *     signer-chain.ts the chain of its signer; metadata.ts reads the payload.
 *  2. status-reports.ts decides from the reports of a model if it is compromised.
 *  3. authenticators.service.ts answers the questions of the ceremonies about a model.
 *  4. attestation-roots.ts watches PASSKEY_ATTESTATION_ROOTS_FILE and holds the roots that attestations may lead to.
 */
import { Module } from '@nestjs/common';
import { AttestationRoots } from './attestation-roots.js';
import { AuthenticatorsService } from './authenticators.service.js';
import { MetadataFile } from './metadata-file.js';

@Module({
  providers: [AttestationRoots, AuthenticatorsService, MetadataFile],
  exports: [AttestationRoots, AuthenticatorsService, MetadataFile],
})
export class AuthenticatorsModule {}
