import { Module } from '@nestjs/common';
import { AuthenticatorsService } from './authenticators.service.js';
import { MetadataFile } from './metadata-file.js';

@Module({
  providers: [AuthenticatorsService, MetadataFile],
  exports: [AuthenticatorsService, MetadataFile],
})
export class AuthenticatorsModule {}
