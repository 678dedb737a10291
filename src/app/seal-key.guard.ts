import { type CanActivate, Injectable } from '@nestjs/common';
import { Problem } from '../http/problem.js';
import type { SealRegister } from '../seals/seal-register.js';

/** The seconds after which a caller may ask again: another replica takes the request, if this one is not ready. */
const RETRY_AFTER = 5;

/** Refuses every request while each key of this process is retired, or soon will be: what it writes would be refused later. */
@Injectable()
export class SealKeyGuard implements CanActivate {
  constructor(private readonly register: Pick<SealRegister, 'cannotSeal'>) {}

  /** @throws Problem unavailable */
  canActivate(): true {
    if (!this.register.cannotSeal) return true;
    const detail = 'each binding key of this replica is retired, or soon will be: restart it with the new file';
    throw new Problem('unavailable', { detail, retryAfter: RETRY_AFTER });
  }
}
