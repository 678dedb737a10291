import { Global, Module } from '@nestjs/common';
import { AuditService } from './audit.service.js';
import { Refusals } from './refusals.js';

/** Every feature records its events through this module. `audit-log` orders, signs and reads them. */
@Global()
@Module({ providers: [AuditService, Refusals], exports: [AuditService, Refusals] })
export class AuditModule {}
