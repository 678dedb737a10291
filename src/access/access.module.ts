import { readFileSync } from 'node:fs';
import { Global, Module } from '@nestjs/common';
import { APP_GUARD, DiscoveryModule } from '@nestjs/core';
import { CONFIG, type Config } from '../config/config.js';
import { CallerGuard } from '../identity/caller.guard.js';
import { TRUST_DOMAIN } from '../identity/trust-domain.js';
import { type AccessPolicy, parseAccessPolicy } from './access-policy.js';
import { ACCESS_POLICY, AccessService } from './access.service.js';
import { DeclaredPermissions } from './declared-permissions.js';
import { PermissionGuard } from './permission.guard.js';

/** The order of the guards is the order in which they run: who calls, then what it may do. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: ACCESS_POLICY,
      inject: [CONFIG],
      useFactory: (config: Config): AccessPolicy => parseAccessPolicy(readFileSync(config.accessPolicyFile, 'utf8')),
    },
    { provide: TRUST_DOMAIN, inject: [ACCESS_POLICY], useFactory: (policy: AccessPolicy) => policy.trustDomain },
    { provide: APP_GUARD, useClass: CallerGuard },
    { provide: APP_GUARD, useClass: PermissionGuard },
    AccessService,
    DeclaredPermissions,
  ],
  exports: [AccessService],
})
export class AccessModule {}
