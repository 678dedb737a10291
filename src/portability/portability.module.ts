import { Module } from '@nestjs/common';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { ExportController } from './export.controller.js';
import { ExportCredentials } from './export-credentials.js';
import { ExportPagesRepository } from './export-pages.repository.js';

@Module({
  imports: [CredentialsModule, RelyingPartiesModule],
  controllers: [ExportController],
  providers: [ExportCredentials, ExportPagesRepository],
})
export class PortabilityModule {}
