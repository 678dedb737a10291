import { $, h, icon, when } from './dom.js';
import { describeReason } from './messages.js';

const DONE = {
  'credential.register': (it) => `${it} was created`,
  'credential.verify': (it) => `${it} signed you in`,
  'confirmation.verify': (it) => `${it} confirmed a payment`,
  'payment.verify': (it) => `${it} confirmed a payment in a shop`,
  'credential.rename': (it, newName) => `${it} was renamed${newName ? ` to “${newName}”` : ''}`,
  'credential.suspend': (it) => `${it} was suspended`,
  'credential.reinstate': (it) => `${it} was reinstated`,
  'credential.revoke': (it) => `${it} was revoked`,
};

const REFUSED = {
  'challenge.issue': () => 'You asked for a new passkey and did not get one',
  'credential.register': () => 'A new passkey was refused',
  'credential.verify': (it) => `${it} was refused at sign-in`,
  'confirmation.verify': (it) => `${it} was refused at a payment`,
  'payment.verify': (it) => `${it} was refused at a payment in a shop`,
};

export function showAudit(events) {
  $('audit').replaceChildren(...events.map(entry));
}

function entry({ type, time, succeeded, reason, caller, passkey, newName, proof }) {
  const it = passkey ? `“${passkey}”` : 'A passkey';
  const words = (succeeded ? DONE : REFUSED)[type] ?? (() => `${type}${succeeded ? '' : ' failed'}`);
  const text = succeeded ? words(it, newName) : `${words(it)}: ${describeReason(reason)}`;
  const by = caller ? ` · by ${caller.split('/').at(-1)}` : '';
  const signedInBy = proof ? ` · signed in by ${proof}` : '';
  return h(
    'li',
    { className: succeeded ? 'done' : 'refused' },
    h('span', { className: 'mark' }, icon(succeeded ? 'check' : 'cross')),
    h('div', {}, h('p', {}, text), h('p', { className: 'facts' }, when(time), by, signedInBy)),
  );
}
