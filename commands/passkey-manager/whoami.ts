import { EXIT } from '../command-line.js';
import { type Command, defineServiceCommand } from './command.js';
import { formatTime } from './printer.js';

export const WHOAMI: readonly Command[] = [
  defineServiceCommand(
    ['whoami'],
    {
      usage: [''],
      about:
        'Says who calls, as the service sees it, and what the access policy grants. Try it first: it needs no permission and no database.',
      needs: 'an entry in the access policy',
      options: {},
      examples: ['', '-o json'],
    },
    async (_, { client, printer, signal }) => {
      const caller = await client.getCaller({ signal });
      const {
        id,
        permissions,
        approvalNeeded,
        relyingParties,
        receiptAudiences,
        requestsPerSecond,
        expiresAt,
        certificate,
      } = caller;
      printer.showRecord(caller, {
        id,
        permissions: permissions.join(', '),
        'approval needed': approvalNeeded.length === 0 ? undefined : approvalNeeded.join(', '),
        'relying parties': relyingParties === null ? 'all' : relyingParties.join(', '),
        'receipts for': receiptAudiences.length === 0 ? undefined : receiptAudiences.join(', '),
        rate: requestsPerSecond === null ? undefined : `${String(requestsPerSecond)} requests a second`,
        expires: formatTime(expiresAt),
        certificate: certificate.fingerprint,
      });
      return EXIT.done;
    },
  ),
];
