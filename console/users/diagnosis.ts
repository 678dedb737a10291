import { html, nothing, type TemplateResult } from '../parts/html.js';
import type { Diagnosis, Finding, RefusedCeremony } from '../explain/sign-in-diagnosis.js';
import { renderTime } from '../parts/time.js';
import { renderExplanation, renderRunbook } from '../refusals/explanation.js';
import type { Caller } from '../shell/caller.js';
import { linkTo } from '../shell/router.js';
import { renderObstacle } from './passkey.js';

const WEIGHTS: Readonly<Record<Finding['weight'], readonly [kind: string, label: string]>> = {
  blocks: ['bad', 'This stops every sign-in'],
  may: ['warn', 'Perhaps'],
  fine: ['good', 'Not the cause'],
  unseen: ['warn', 'Not seen'],
};

const VERDICTS = { accepted: ['good', 'accepted'], limited: ['warn', 'perhaps'], refused: ['bad', 'refused'] } as const;

/** Shows the answer in a sentence, then what it rests on. */
export function renderDiagnosis(
  { answer, findings, judgements }: Diagnosis,
  refusals: readonly RefusedCeremony[] | undefined,
  caller: Caller,
): TemplateResult {
  return html`
    <p class="answer" role="status"><strong>${answer}</strong></p>
    ${findings.map(renderFinding)}
    ${
      judgements.length === 0
        ? nothing
        : html`<h3>Each passkey, judged by the policy</h3>
            <ul>
              ${judgements.map(
                ({ passkey, verdict, obstacles }) =>
                  html`<li>
                    ${passkey.name} <span class="badge ${VERDICTS[verdict][0]}">${VERDICTS[verdict][1]}</span>
                    ${obstacles.length === 0 ? 'Nothing stands in its way.' : nothing}
                    ${obstacles.map((obstacle) => html`<div>${renderObstacle(obstacle)}</div>`)}
                  </li>`,
              )}
            </ul>`
    }
    ${refusals && refusals.length > 0 ? renderRefusals(refusals, caller) : nothing}
  `;
}

function renderFinding({ weight, title, text, runbook }: Finding): TemplateResult {
  const [kind, label] = WEIGHTS[weight];
  return html`<div class="finding">
    <span class="badge ${kind}">${label}</span> <strong>${title}</strong>
    <div>${text}${runbook === undefined ? nothing : html` ${renderRunbook(runbook)}`}</div>
  </div>`;
}

const SHOWN = 10;

function renderRefusals(refusals: readonly RefusedCeremony[], { permissions }: Caller): TemplateResult {
  return html`<h3>The last refused ceremonies</h3>
    ${refusals.slice(0, SHOWN).map(
      ({ id, time, type, reason, detail, clause }) =>
        html`<details class="card">
          <summary>
            ${renderTime(time)} <code>${reason}</code> <span class="faint">${type}${clause ? `, ${clause}` : ''}</span>
          </summary>
          ${detail === undefined ? nothing : html`<p>The service said: ${detail}</p>`} ${renderExplanation(reason)}
          ${permissions.has('audit:read') ? html`<p><a href=${linkTo(['events', id])}>The event</a></p>` : nothing}
        </details>`,
    )}`;
}
