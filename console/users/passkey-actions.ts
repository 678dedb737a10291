import type { Question } from '../parts/confirmation.js';
import { toast } from '../parts/toast.js';
import { call } from '../shell/api.js';

export type Act = 'suspend' | 'reinstate' | 'revoke';

interface Named {
  readonly id: string;
  readonly name: string;
}

interface Words {
  readonly action: string;
  readonly done: string;
  readonly consequences: readonly string[];
}

const WORDS: Readonly<Record<Act, Words>> = {
  suspend: {
    action: 'Suspend',
    done: 'is suspended',
    consequences: [
      'The service refuses the passkey from the next request on.',
      'It stays on the user’s device, and can be reinstated.',
      'A session that has begun goes on: end it in the calling application.',
    ],
  },
  reinstate: {
    action: 'Reinstate',
    done: 'is active again',
    consequences: ['The user can sign in with the passkey at once.', 'First be sure that the device is with the user.'],
  },
  revoke: {
    action: 'Revoke',
    done: 'is revoked',
    consequences: [
      'The service refuses the passkey from the next request on, for good.',
      'The user needs another passkey, or another way to sign in.',
      'A session that has begun goes on: end it in the calling application.',
    ],
  },
};

/** @param read reads the passkeys again: also after a failure, since then they are not what the page shows */
export function askStatus(act: Act, { id, name }: Named, read: () => void): Question {
  const { action, consequences, done: said } = WORDS[act];
  return {
    title: `${action} “${name}”?`,
    consequences,
    action,
    isFinal: act === 'revoke',
    asksReason: true,
    run: async (reason) => {
      await call('post', `/v1/credentials/{id}/${act}`, { path: { id }, body: { reason } }).finally(read);
      toast(`“${name}” ${said}.`);
    },
  };
}

/** @param count the passkeys that are not revoked yet */
export function askRevokeAll(
  { rpId, userId }: { readonly rpId: string; readonly userId: string },
  count: number,
  read: () => void,
): Question {
  return {
    title: `Revoke all passkeys of ${userId}?`,
    consequences: [
      `${count === 1 ? 'One passkey' : `${String(count)} passkeys`} at ${rpId}, active and suspended, are refused from the next request on, for good.`,
      'A registration that the user, or somebody else, has begun cannot be ended any more.',
      'The user can register again at once. End the sessions in the calling application first, or an intruder begins another registration.',
    ],
    action: 'Revoke all',
    isFinal: true,
    asksReason: true,
    run: async (reason) => {
      const sent = { path: { userId }, query: { rpId }, body: { reason } };
      const { revoked } = await call('post', '/v1/users/{userId}/revoke', sent).finally(read);
      toast(`${String(revoked)} passkeys of ${userId} are revoked.`);
    },
  };
}
