/** An event as a feature reports it, in the terms of the domain. `toOcsf` turns it into a record. */
export interface AuditEntry {
  readonly type: AuditEventType;
  readonly outcome: 'success' | 'failure';
  /** A slug from the closed lists of reasons and problems. */
  readonly reason?: string | undefined;
  /** Text for a human reader. It never holds a secret or a key. */
  readonly detail?: string | undefined;
  readonly rpId?: string | undefined;
  readonly userId?: string | undefined;
  readonly credential?: { readonly id?: string | undefined; readonly credentialId: string } | undefined;
  /** The request for an approval that the event is about, or by which the change was approved. */
  readonly approvalId?: string | undefined;
  /** The stream of Shared Signals that the event is about. */
  readonly streamId?: string | undefined;
  readonly userVerified?: boolean | undefined;
  /** Further facts, which become OCSF's `unmapped`. */
  readonly facts?: Readonly<Record<string, unknown>> | undefined;
}

type OcsfActivity = readonly [categoryUid: number, classUid: number, activityId: number, activityName: string];

/**
 * Every event that is recorded (PCI DSS 4.0.1 10.2.1), with its OCSF 1.8 category, class and activity. The name is the
 * event's `metadata.event_code`.
 */
export const AUDIT_EVENTS = {
  'challenge.issue': [3, 3002, 6, 'Preauth'],
  'challenge.limit': [3, 3002, 6, 'Preauth'],
  'challenge.summary': [3, 3002, 6, 'Preauth'],
  'credential.verify': [3, 3002, 1, 'Logon'],
  'confirmation.verify': [3, 3002, 99, 'Confirm'],
  'payment.verify': [3, 3002, 99, 'Confirm'],
  'credential.register': [3, 3001, 10, 'MFA Factor Enable'],
  'credential.import': [3, 3001, 10, 'MFA Factor Enable'],
  'credential.revoke': [3, 3001, 11, 'MFA Factor Disable'],
  'credential.rename': [3, 3004, 3, 'Update'],
  'credential.suspend': [3, 3004, 12, 'Suspend'],
  'credential.reinstate': [3, 3004, 13, 'Resume'],
  'browser-key.trust': [3, 3004, 3, 'Update'],
  'browser-key.revoke': [3, 3004, 11, 'Deactivate'],
  'credential.tampered': [2, 2004, 1, 'Create'],
  'user.revoke': [3, 3004, 11, 'Deactivate'],
  'user.erase': [3, 3004, 4, 'Delete'],
  'relying-party.create': [3, 3004, 1, 'Create'],
  'relying-party.update': [3, 3004, 3, 'Update'],
  'approval.request': [3, 3004, 1, 'Create'],
  'approval.approve': [3, 3004, 3, 'Update'],
  'approval.refuse': [3, 3004, 3, 'Update'],
  'approval.expire': [3, 3004, 3, 'Update'],
  'signal-stream.create': [3, 3004, 1, 'Create'],
  'signal-stream.update': [3, 3004, 3, 'Update'],
  'signal-stream.delete': [3, 3004, 4, 'Delete'],
  'signal-stream.subject': [3, 3004, 3, 'Update'],
  'signal-stream.drop': [2, 2004, 1, 'Create'],
  'approval.tampered': [2, 2004, 1, 'Create'],
  'relying-party.seal': [3, 3004, 3, 'Update'],
  'relying-party.end': [3, 3004, 11, 'Deactivate'],
  'relying-party.tampered': [2, 2004, 1, 'Create'],
  'reconciliation.finding': [2, 2004, 1, 'Create'],
  'user.tampered': [2, 2004, 1, 'Create'],
  'access.denied': [6, 6003, 99, 'Refuse'],
  'handshake.refused': [6, 6003, 99, 'Refuse'],
  'trust.reload': [6, 6003, 3, 'Update'],
  'policy.reload': [6, 6003, 3, 'Update'],
  'metadata.reload': [6, 6003, 3, 'Update'],
  'attestation-roots.reload': [6, 6003, 3, 'Update'],
  'receipt-keys.reload': [6, 6003, 3, 'Update'],
  'signal-keys.reload': [6, 6003, 3, 'Update'],
  'signal-push.reload': [6, 6003, 3, 'Update'],
  'credential.export': [6, 6003, 2, 'Read'],
  'risk.signal': [2, 2004, 1, 'Create'],
  'audit.export': [6, 6003, 2, 'Read'],
  'audit.archive': [6, 6003, 4, 'Delete'],
  'audit.rekey': [6, 6003, 3, 'Update'],
  'audit.restore': [6, 6003, 3, 'Update'],
  'seal-key.add': [6, 6003, 1, 'Create'],
  'seal-key.rotate': [6, 6003, 3, 'Update'],
  'seal-key.retire': [6, 6003, 4, 'Delete'],
  'seal-key.force-retire': [6, 6003, 4, 'Delete'],
  'seal-key.end-old-seals': [6, 6003, 4, 'Delete'],
  'audit.failure': [2, 2004, 1, 'Create'],
  'audit.recovery': [2, 2004, 3, 'Close'],
  'audit.read': [6, 6003, 2, 'Read'],
  'service.start': [6, 6002, 3, 'Start'],
  'service.stop': [6, 6002, 4, 'Stop'],
  'schema.migrate': [6, 6002, 8, 'Update'],
} as const satisfies Record<string, OcsfActivity>;

export type AuditEventType = keyof typeof AUDIT_EVENTS;
