import { Module } from '@nestjs/common';
import { AuthenticatorsModule } from '../authenticators/authenticators.module.js';
import { CredentialsModule } from '../credentials/credentials.module.js';
import { RelyingPartiesModule } from '../relying-parties/relying-parties.module.js';
import { ExportController } from './export.controller.js';
import { ExportCredentials } from './export-credentials.js';
import { ExportPagesRepository } from './export-pages.repository.js';
import { ImportBatch } from './import-batch.js';
import { ImportController } from './import.controller.js';
import { ImportCredentials } from './import-credentials.js';
import { ImportRepository } from './import.repository.js';

@Module({
  imports: [AuthenticatorsModule, CredentialsModule, RelyingPartiesModule],
  controllers: [ExportController, ImportController],
  providers: [ExportCredentials, ExportPagesRepository, ImportBatch, ImportCredentials, ImportRepository],
})
export class PortabilityModule {}
