import { html, nothing, type TemplateResult } from '../parts/html.js';
import type { Obstacle } from '../explain/judge-passkey.js';
import type { Judgement } from '../explain/sign-in-diagnosis.js';
import { describeDistance, renderTime } from '../parts/time.js';
import { linkTo } from '../shell/router.js';

/** Days without a use after which the statistics call a passkey unused. */
const UNUSED_DAYS = 90;
const DAY_MS = 86_400_000;

const ALGORITHMS: Readonly<Record<number, string>> = {
  [-7]: 'ES256',
  [-8]: 'EdDSA',
  [-257]: 'RS256',
  [-48]: 'ML-DSA-44',
};

/** Shows a passkey: its state, its model, its last use, and what stands in its way. */
export function renderPasskey({ passkey, obstacles, verdict }: Judgement): TemplateResult {
  const { name, status, statusReason, statusChangedAt, aaguid, authenticator, attestation } = passkey;
  const { id, algorithm, createdAt, createdBy, lastUsedAt, transports, discoverable } = passkey;
  return html`
    <h3>
      ${name} <span class="badge ${status}">${status}</span>
      ${status === 'active' && verdict !== 'accepted' ? renderVerdict(verdict, obstacles) : nothing}
    </h3>
    <dl class="facts">
      <dt>Last use</dt>
      <dd>${lastUsedAt === null ? 'never' : html`${renderTime(lastUsedAt)} (${sayAgo(lastUsedAt)})`}</dd>
      <dt>Model</dt>
      <dd>${authenticator?.name ?? 'unknown'} <code class="faint">${aaguid}</code></dd>
      <dt>Kind</dt>
      <dd>${describeKind(passkey)}</dd>
      ${
        status === 'active'
          ? nothing
          : html`<dt>Since</dt>
              <dd>${renderTime(statusChangedAt)}${statusReason === null ? '' : ` – ${statusReason}`}</dd>`
      }
      <dt>Registered</dt>
      <dd>${renderTime(createdAt)} by <code>${createdBy}</code></dd>
      ${renderRisks(passkey, obstacles)}
    </dl>
    <details>
      <summary>More about ${name}</summary>
      <dl class="facts">
        <dt>Id</dt>
        <dd><code>${id}</code></dd>
        <dt>Credential id</dt>
        <dd><code>${passkey.credentialId}</code></dd>
        <dt>Algorithm</dt>
        <dd>${ALGORITHMS[algorithm] ?? ''} (${algorithm})</dd>
        <dt>Attestation</dt>
        <dd>${attestation.format}, trust: ${attestation.trust}</dd>
        <dt>Sign count</dt>
        <dd>${passkey.signCount}</dd>
        <dt>Transports</dt>
        <dd>${transports.join(', ') || 'none told'}</dd>
        <dt>Discoverable</dt>
        <dd>${discoverable === null ? 'not told' : discoverable ? 'yes' : 'no: the caller must name the user'}</dd>
      </dl>
    </details>
  `;
}

function renderVerdict(
  verdict: Exclude<Judgement['verdict'], 'accepted'>,
  obstacles: readonly Obstacle[],
): TemplateResult {
  if (verdict === 'refused') return html`<span class="badge bad">refused by the policy</span>`;
  const isOfPurposes = obstacles.every(({ purpose }) => purpose !== undefined);
  return html`<span class="badge warn">${isOfPurposes ? 'not for every purpose' : 'perhaps refused'}</span>`;
}

function describeKind({ backupEligible, backedUp, userVerified }: Judgement['passkey']): string {
  const backup =
    backupEligible === null
      ? 'imported, so its next use tells if it can be backed up'
      : backupEligible
        ? `can be backed up, and ${backedUp ? 'is' : 'is not yet'}`
        : 'bound to its device';
  return `${backup}; ${userVerified ? 'verifies its user' : 'has never verified its user'}`;
}

function sayAgo(time: string): string {
  return describeDistance(new Date(), new Date(time));
}

/** What an operator should look at, beside the state. */
function renderRisks(passkey: Judgement['passkey'], obstacles: readonly Obstacle[]): TemplateResult | typeof nothing {
  const { status, lastUsedAt, createdAt } = passkey;
  if (status === 'revoked') return nothing;
  const idle = Date.now() - Date.parse(lastUsedAt ?? createdAt);
  const risks = [
    // The state and its reason stand above.
    ...obstacles.filter(({ reason }) => reason !== 'credential-suspended').map(renderObstacle),
    ...(idle > UNUSED_DAYS * DAY_MS ? [html`Not used for ${UNUSED_DAYS} days.`] : []),
  ];
  if (risks.length === 0) return nothing;
  return html`<dt>Look at</dt>
    <dd>
      <ul>
        ${risks.map((risk) => html`<li>${risk}</li>`)}
      </ul>
    </dd>`;
}

export function renderObstacle({ reason, because, purpose, isCertain }: Obstacle): TemplateResult {
  return html`${purpose === undefined ? '' : html`For the purpose <code>${purpose}</code>: `}${because}
    ${isCertain ? 'Refused with' : 'It may be refused with'}
    <a href=${linkTo(['refusals'], { reason })}>${reason}</a>.`;
}
