import type { ApprovalsService } from '../../src/approvals/approvals.service.js';

type Approvals = Pick<ApprovalsService, 'define' | 'request'>;

/** Lets every caller act alone, as an access policy that asks for no approvals does. */
export class FakeApprovals implements Approvals {
  get service(): ApprovalsService {
    return this as Approvals as ApprovalsService;
  }

  define(): void {
    return;
  }

  request(): Promise<null> {
    return Promise.resolve(null);
  }
}
