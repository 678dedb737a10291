import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { CallerGuard } from '../identity/caller.guard.js';
import { Connections } from '../identity/connections.js';
import { ContinuousVerification } from '../identity/continuous-verification.js';
import { ListenerBounds } from '../identity/listener-bounds.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { NAMED_CALLERS, type NamedCallers } from '../identity/named-callers.js';
import { TRUST_DOMAIN } from '../identity/trust-domain.js';
import { AccessService } from './access.service.js';
import { DeclaredPermissions } from './declared-permissions.js';
import { PermissionGuard } from './permission.guard.js';
import { PolicyStore } from './policy-store.js';
import { RiskSignals } from './risk-signals.js';

/** Nest runs the guards in this order: the first one identifies the caller, the second one checks its permission. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [
    PolicyStore,
    { provide: TRUST_DOMAIN, inject: [PolicyStore], useFactory: ({ policy }: PolicyStore) => policy.trustDomain },
    {
      provide: NAMED_CALLERS,
      inject: [PolicyStore],
      useFactory:
        (inForce: PolicyStore): NamedCallers =>
        (spiffeId) =>
          inForce.policy.grants.has(spiffeId),
    },
    ListenerTrust,
    ListenerBounds,
    Connections,
    ContinuousVerification,
    RiskSignals,
    CallerGuard,
    PermissionGuard,
    AccessService,
    DeclaredPermissions,
  ],
  exports: [AccessService, RiskSignals],
})
export class AccessModule {}
