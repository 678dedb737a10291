import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { CallerGuard } from '../identity/caller.guard.js';
import { Connections, NAMED_CALLERS, type NamedCallers, TRUST_DOMAIN } from '../identity/connections.js';
import { ContinuousVerification } from '../identity/continuous-verification.js';
import { ListenerBounds } from '../identity/listener-bounds.js';
import { ListenerTrust } from '../identity/listener-trust.js';
import { AccessService } from './access.service.js';
import { CallerController } from './caller.controller.js';
import { DeclaredPermissions } from './declared-permissions.js';
import { OpenExports } from './open-exports.js';
import { PermissionGuard } from './permission.guard.js';
import { PolicyStore } from './policy-store.js';
import { RiskSignals } from './risk-signals.js';

/**
 * Decides what an identified caller may do. The file of the access policy goes in; an allowed request or a recorded denial
 * comes out.
 *
 *  - access-policy.ts parses the policy, and policy-store.ts holds it and reloads it.
 *  - permissions.ts has the permissions and `@Requires`. declared-permissions.ts stops the boot if a route has none.
 *  - permission.guard.ts asks access.service.ts about each request, which also limits the caller's rate (request-rate.ts).
 *  - open-exports.ts has the long answers, whose callers reauthorize-stream.ts authorizes again and again.
 *  - risk-signals.ts reports callers that behave unusually.
 *  - caller.controller.ts tells a caller what the policy grants it.
 *
 * The module also provides the classes of src/identity, because they need the trust domain and the names of the policy. Which
 * guard runs when is in app/request-pipeline.ts.
 */
@Global()
@Module({
  imports: [DiscoveryModule],
  controllers: [CallerController],
  providers: [
    PolicyStore,
    { provide: TRUST_DOMAIN, inject: [PolicyStore], useFactory: ({ policy }: PolicyStore) => policy.trustDomain },
    {
      provide: NAMED_CALLERS,
      inject: [PolicyStore],
      useFactory:
        (store: PolicyStore): NamedCallers =>
        (spiffeId) =>
          store.policy.grants.has(spiffeId),
    },
    ListenerTrust,
    ListenerBounds,
    Connections,
    ContinuousVerification,
    RiskSignals,
    CallerGuard,
    PermissionGuard,
    AccessService,
    OpenExports,
    DeclaredPermissions,
  ],
  exports: [AccessService, OpenExports, RiskSignals],
})
export class AccessModule {}
