import type { components } from '../../clients/typescript/src/contract.js';
import { judgePasskey, type Obstacle, type Passkey, type ServiceVerdicts } from './judge-passkey.js';
import { explainRefusal } from './refusals.js';

type Schemas = components['schemas'];
type AuditEvent = Schemas['AuditEvent'];

/** What an operator knows, as far as the access policy lets them look. */
export interface Evidence {
  readonly now: Date;
  readonly passkeys: readonly Passkey[];
  /** Absent without relying-parties:read. */
  readonly party?: Pick<Schemas['RelyingParty'], 'rpId' | 'enabled' | 'policy' | 'successor'> | undefined;
  /** The answer to a dry run of the present settings; absent without relying-parties:write. */
  readonly verdicts?: ServiceVerdicts | undefined;
  /** The user's refused ceremonies, the newest first; absent without audit:read. */
  readonly refusals?: readonly RefusedCeremony[] | undefined;
}

export interface RefusedCeremony {
  readonly id: string;
  readonly time: Date;
  readonly type: string;
  readonly reason: string;
  readonly detail: string | undefined;
  readonly clause: string | undefined;
  /** The id of the passkey. */
  readonly passkey: string | undefined;
}

export interface Finding {
  /** `blocks`: nobody gets past it; `may`: it can be the cause; `fine`: it is not; `unseen`: the policy does not show it. */
  readonly weight: 'blocks' | 'may' | 'fine' | 'unseen';
  readonly title: string;
  readonly text: string;
  /** The heading of docs/runbook.md, as an anchor. */
  readonly runbook?: string;
}

export interface Judgement {
  readonly passkey: Passkey;
  /** `refused`: by every ceremony; `limited`: by those of a purpose, or perhaps; `accepted`: nothing stands in its way. */
  readonly verdict: 'accepted' | 'limited' | 'refused';
  readonly obstacles: readonly Obstacle[];
}

export interface Diagnosis {
  /** The answer in one sentence. */
  readonly answer: string;
  readonly findings: readonly Finding[];
  readonly judgements: readonly Judgement[];
}

const UNSEEN_POLICY = 'This answer is partial: your permissions do not show the policy, which may refuse more.';

const REST_MS = 1_800_000;

/** Says why a user cannot sign in, as far as the evidence shows it. */
export function diagnose(evidence: Evidence): Diagnosis {
  const judgements = evidence.passkeys.map((passkey) => judge(passkey, evidence));
  const findings = [...judgeParty(evidence), ...judgeEnrolment(evidence), ...judgeRefusals(evidence)];
  const answer = sumUp(findings, judgements);
  return { answer: evidence.party ? answer : `${UNSEEN_POLICY} ${answer}`, findings, judgements };
}

function judge(passkey: Passkey, { party, verdicts }: Evidence): Judgement {
  const obstacles = judgePasskey(passkey, party?.policy, verdicts);
  const isRefused = obstacles.some(({ purpose, isCertain }) => purpose === undefined && isCertain);
  return { passkey, obstacles, verdict: isRefused ? 'refused' : obstacles.length > 0 ? 'limited' : 'accepted' };
}

function judgeParty({ party, now }: Evidence): Finding[] {
  if (!party) {
    const text = 'The passkeys are judged without the policy. The permission relying-parties:read would show it.';
    return [{ weight: 'unseen', title: 'The policy of the relying party', text }];
  }
  const { rpId, enabled, successor } = party;
  if (!enabled) {
    const text = 'Every ceremony is refused with relying-party-denied, whatever the passkey.';
    return [
      { weight: 'blocks', title: `${rpId} is switched off`, text, runbook: 'a-relying-partys-policy-is-to-change' },
    ];
  }
  if (!successor) return [];
  const { endsAt } = successor;
  const runbook = 'users-have-no-passkey-at-the-successor';
  if (endsAt !== null && Date.parse(endsAt) <= now.getTime()) {
    const text = `It ended at ${endsAt}. The user needs a passkey at ${successor.rpId}.`;
    return [{ weight: 'blocks', title: `${rpId} has ended`, text, runbook }];
  }
  const end = endsAt === null ? 'No end is set.' : `It ends at ${endsAt}.`;
  const text = `${end} Until then passkeys go on. The caller should offer a passkey at ${successor.rpId}.`;
  return [{ weight: 'fine', title: `${rpId} has the successor ${successor.rpId}`, text, runbook }];
}

function judgeEnrolment({ passkeys }: Evidence): Finding[] {
  if (passkeys.length > 0) {
    if (passkeys.some(({ discoverable }) => discoverable !== false)) return [];
    const text =
      'None of the passkeys is discoverable, so the browser offers none unless the caller names the user with userId.';
    return [{ weight: 'may', title: 'The user must be named', text }];
  }
  const text =
    'Either the user has never registered one at this relying party, was erased, or has another id. The id is the one that the calling application uses, letter by letter.';
  return [{ weight: 'blocks', title: 'The user has no passkey here', text }];
}

function judgeRefusals({ refusals, now }: Evidence): Finding[] {
  if (!refusals) {
    const text = 'The permission audit:read would show the user’s last refused ceremonies.';
    return [{ weight: 'unseen', title: 'The last refusals', text }];
  }
  const [last] = refusals;
  if (!last) {
    const text =
      'No ceremony of the user was refused. If the user cannot sign in, the answer never came: see the page, the browser, or whether the authenticator holds the passkey at all.';
    return [{ weight: 'fine', title: 'The audit log has no refusal', text }];
  }
  const limited = refusals.find(({ reason, time }) => isRecentLimit(reason, time, now));
  const explained = explainRefusal(last.reason);
  const said: Finding = {
    weight: 'may',
    title: `Last refused with ${last.reason}`,
    text: explained ? `${explained.meaning} ${explained.advice}` : 'This console does not know the reason.',
    ...(explained && { runbook: explained.runbook }),
  };
  if (!limited) return [said];
  const text =
    'So many authentications were refused that the user gets no challenge for half an hour. First see why they were refused.';
  return [{ weight: 'blocks', title: 'The user is over a limit', text, runbook: 'a-caller-is-denied' }, said];
}

function isRecentLimit(reason: string, time: Date, now: Date): boolean {
  return reason === 'too-many-refusals' && now.getTime() - time.getTime() < REST_MS;
}

function sumUp(findings: readonly Finding[], judgements: readonly Judgement[]): string {
  const block = findings.find(({ weight }) => weight === 'blocks');
  if (block) return `${block.title}. ${block.text}`;
  const [accepted, refused] = (['accepted', 'refused'] as const).map((verdict) =>
    judgements.filter((judgement) => judgement.verdict === verdict),
  ) as [Judgement[], Judgement[]];
  const count = judgements.length;
  if (refused.length === count) {
    const [first] = refused[0]!.obstacles;
    return count === 1
      ? `The only passkey is refused. ${first!.because} ${adviseOn(refused[0]!)}`
      : `Each of the ${String(count)} passkeys is refused; see below why.`;
  }
  const usable = accepted.length;
  if (usable === 0)
    return 'No passkey is refused by every ceremony, but something may stand in the way of each; see below.';
  const which =
    usable === count
      ? count === 1
        ? 'the passkey'
        : 'any of the passkeys'
      : `${String(usable)} of ${String(count)} passkeys`;
  return `Nothing that the service knows refuses ${which}. See the last refusals, and ask which passkey the user takes.`;
}

/** What to do about a passkey that is refused, and who may. */
function adviseOn({ passkey: { status, statusChangedAt }, obstacles }: Judgement): string {
  if (status === 'suspended')
    return `It has been so since ${statusChangedAt}. Once the user has the device, reinstate it: that needs passkeys:manage.`;
  if (status === 'revoked') return `It has been so since ${statusChangedAt}. The user needs another passkey.`;
  const advice = explainRefusal(obstacles[0]!.reason)?.advice ?? '';
  return `${advice} A change of the policy needs relying-parties:write.`.trim();
}

const CEREMONIES = new Set([
  ...['credential.verify', 'confirmation.verify', 'payment.verify', 'credential.register'],
  ...['challenge.issue', 'challenge.limit'],
]);

/** Takes the refused ceremonies at a relying party out of a user's failed events. */
export function readRefusals(events: readonly AuditEvent[], rpId: string): RefusedCeremony[] {
  return events.flatMap((event) => {
    const { metadata, status_code: reason, time, status_detail: detail } = event;
    const unmapped = (event['unmapped'] ?? {}) as Record<string, unknown>;
    if (!CEREMONIES.has(metadata.event_code ?? '') || unmapped['rp_id'] !== rpId || reason === undefined) return [];
    const { uid } = (unmapped['credential'] ?? {}) as { uid?: unknown };
    const clause = unmapped['webauthn_step'];
    return {
      id: metadata.uid,
      time: new Date(time),
      type: metadata.event_code ?? '',
      reason,
      detail,
      clause: typeof clause === 'string' ? clause : undefined,
      passkey: typeof uid === 'string' ? uid : undefined,
    };
  });
}
