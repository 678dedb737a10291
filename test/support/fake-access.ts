import type { AccessService } from '../../src/access/access.service.js';
import type { RequestContext } from '../../src/http/request-context.js';

type Authorizer = Pick<AccessService, 'authorize'>;

/** Notes the permissions that are demanded, and grants or refuses them as a test says. */
export class FakeAccess implements Authorizer {
  readonly demanded: [RequestContext, string][] = [];
  /** If set, every demand fails with it. */
  refusal: Error | undefined;

  get service(): AccessService {
    return this as Authorizer as AccessService;
  }

  authorize(context: RequestContext, permission: string): Promise<void> {
    this.demanded.push([context, permission]);
    return this.refusal ? Promise.reject(this.refusal) : Promise.resolve();
  }
}
