import { Module } from '@nestjs/common';
import { AttestationRoots } from './attestation-roots.js';
import { AuthenticatorsService } from './authenticators.service.js';
import { MetadataFile } from './metadata-file.js';

@Module({
  providers: [AttestationRoots, AuthenticatorsService, MetadataFile],
  exports: [AttestationRoots, AuthenticatorsService, MetadataFile],
})
export class AuthenticatorsModule {}
