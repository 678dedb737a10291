import { describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { makeAuthorizedContext } from '../../test/support/callers.js';
import { Problem } from '../http/problem.js';
import type { EnrolledCredentials } from '../relying-parties/enrolled-credentials.js';
import type { RelyingPartyCopies } from '../relying-parties/relying-party-copies.js';
import { SuccessorPasskeys } from './successor-passkeys.js';

Logger.overrideLogger(false);

const successor = { rpId: 'new.example', endsAt: null, registrations: 'accept' } as const;

class FakeCopies {
  asked = 0;

  constructor(private readonly error?: Error) {}

  getEnabled(): Promise<never> {
    this.asked += 1;
    return this.error ? Promise.reject(this.error) : Promise.resolve({} as never);
  }
}

class FailingCredentials {
  asked = 0;

  listPasskeys(): Promise<never> {
    this.asked += 1;
    return Promise.reject(new Error('the connection is gone'));
  }
}

const make = (copies: FakeCopies, enrolled: FailingCredentials): SuccessorPasskeys =>
  new SuccessorPasskeys(copies as unknown as RelyingPartyCopies, enrolled as unknown as EnrolledCredentials);

describe('the migration of a user who has signed in', () => {
  it('costs nothing where there is no successor', async () => {
    const [copies, enrolled] = [new FakeCopies(), new FailingCredentials()];
    expect(await make(copies, enrolled).find(makeAuthorizedContext(), { successor: null }, 'ada')).toBeUndefined();
    expect([copies.asked, enrolled.asked]).toEqual([0, 0]);
  });

  it.each([
    ['the database fails', new FakeCopies()],
    ['there is no such relying party', new FakeCopies(new Problem('relying-party-unknown'))],
  ])('does not say whether there is a passkey if %s, and the sign-in holds', async (_, copies) => {
    const found = await make(copies, new FailingCredentials()).find(makeAuthorizedContext(), { successor }, 'ada');
    expect(found).toEqual({ successor: 'new.example', endsAt: null, hasPasskey: null });
  });
});
