import { html, nothing, type TemplateResult } from '../parts/html.js';
import { renderNoCounts } from '../ceremonies/ceremonies.js';
import { readCounts, readPeriod, renderPeriod } from '../ceremonies/period.js';
import { formatShare, layOut, type Series } from '../explain/ceremony-counts.js';
import { CEREMONY_REASONS } from '../explain/reasons.js';
import { COUNTED_PROBLEMS, explainRefusal, LIMIT_REASONS, POLICY_REASONS } from '../explain/refusals.js';
import { load, renderLoading } from '../parts/loading.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { renderExplanation } from './explanation.js';

export const REFUSALS: View = {
  path: 'refusals',
  title: 'Refusals',
  group: 'Operation',
  needs: ['statistics:read'],
  open: openRefusals,
};

const EXPLAINED = [CEREMONY_REASONS, POLICY_REASONS, LIMIT_REASONS, COUNTED_PROBLEMS].flatMap((notes) =>
  Object.keys(notes),
);

function openRefusals(page: Page): OpenView {
  const counts = load(page, (signal) => readCounts(page, signal));
  const asked = page.query.get('reason');
  return {
    render: () => html`
      <h1 tabindex="-1">Refusals</h1>
      <p>Why ceremonies were refused, how often, and what to do about each reason.</p>
      ${renderLoading(counts, (counted) => {
        const { parties, statistics } = counted;
        const rpId = statistics?.rpId ?? readPeriod(page.query).rpId;
        const form = renderPeriod(page, { view: 'refusals', parties, chosen: rpId });
        if (!statistics) return html`${form}${renderNoCounts(counted)}${renderOthers(EXPLAINED, asked)}`;
        const { reasons, refused } = layOut(statistics);
        const seen = new Set(reasons.map(({ name }) => name));
        return html`${form}
          <h2>Counted at ${statistics.rpId}</h2>
          ${
            reasons.length === 0
              ? html`<p>No ceremony was refused in this time.</p>`
              : reasons.map((series) => renderReason(series, refused.total, asked, page))
          }
          ${renderOthers(
            EXPLAINED.filter((reason) => !seen.has(reason)),
            asked,
          )}`;
      })}
    `,
  };
}

function renderReason({ name, total }: Series, all: number, asked: string | null, { caller }: Page): TemplateResult {
  return html`<details class="card" ?open=${name === asked}>
    <summary>
      <code>${name}</code>
      <span class="count">${total.toLocaleString('en')}</span>
      <span class="faint">${formatShare(total, all)}</span>
    </summary>
    ${renderExplanation(name)}
    ${
      caller.permissions.has('audit:read')
        ? html`<p>
            <a href=${linkTo(['events'], { type: 'credential.verify', outcome: 'failure' })}
              >Refused sign-ins in the audit log</a
            >
          </p>`
        : nothing
    }
  </details>`;
}

/** The reasons that nothing was refused for. */
function renderOthers(reasons: readonly string[], asked: string | null): TemplateResult {
  // The one that the reader came for stands first.
  const shown = reasons.toSorted((one, other) => Number(other === asked) - Number(one === asked));
  return html`<h2>Every other reason</h2>
    ${shown.map(
      (reason) =>
        html`<details class="card" ?open=${reason === asked}>
          <summary><code>${reason}</code> <span class="faint">${explainRefusal(reason)?.meaning}</span></summary>
          ${renderExplanation(reason)}
        </details>`,
    )}`;
}
