import { html, nothing, type TemplateResult } from '../parts/html.js';
import { explainRefusal, nameFaults } from '../explain/refusals.js';

/** Shows what a reason means, whose doing it usually is, and what to do. */
export function renderExplanation(reason: string): TemplateResult {
  const explained = explainRefusal(reason);
  if (!explained)
    return html`<p>
      This console does not know the reason. Its service may be of a later version: see docs/problems.md of that
      version.
    </p>`;
  const { meaning, advice, faults, clauses, runbook } = explained;
  return html`<dl class="facts">
    <dt>Means</dt>
    <dd>${meaning}</dd>
    <dt>Usually</dt>
    <dd>${nameFaults(faults)}</dd>
    <dt>Do</dt>
    <dd>${advice}</dd>
    ${
      clauses.length === 0
        ? nothing
        : html`<dt>Demanded by</dt>
            <dd>${describeClauses(clauses)}</dd>`
    }
    <dt>Runbook</dt>
    <dd>${renderRunbook(runbook)}</dd>
  </dl>`;
}

/** Names a page of the runbook, which is a file beside the source. */
export function renderRunbook(anchor: string): TemplateResult {
  return html`<code>docs/runbook.md#${anchor}</code>`;
}

/** Such as: WebAuthn Level 3, §7.1 step 8, §7.2 step 11; Secure Payment Confirmation, §9.1 */
function describeClauses(clauses: readonly string[]): string {
  const payment = clauses.filter((clause) => clause.startsWith('SPC ')).map((clause) => clause.slice('SPC '.length));
  const ceremony = clauses.filter((clause) => !clause.startsWith('SPC '));
  return [
    ceremony.length > 0 && `WebAuthn Level 3, ${ceremony.join(', ')}`,
    payment.length > 0 && `Secure Payment Confirmation, ${payment.join(', ')}`,
  ]
    .filter(Boolean)
    .join('; ');
}
