import { html, type TemplateResult } from '../parts/html.js';
import { load, renderEmpty, renderLoading } from '../parts/loading.js';
import { renderTime } from '../parts/time.js';
import { call, type Schemas } from '../shell/api.js';
import { linkTo } from '../shell/router.js';
import type { View } from '../shell/view.js';

export const RELYING_PARTIES: View = {
  path: 'relying-parties',
  title: 'Relying parties',
  group: 'Operation',
  needs: ['relying-parties:read'],
  open: (page) => {
    const parties = load(page, (signal) => call('get', '/v1/relying-parties', {}, { signal }));
    return {
      render: () => html`
        <h1 tabindex="-1">Relying parties</h1>
        <p>The sites and apps to which passkeys belong, and what each demands.</p>
        ${renderLoading(parties, ({ data }) =>
          data.length === 0
            ? renderEmpty('There is no relying party.', 'Create one with PUT /v1/relying-parties/{rpId}.')
            : renderTable(data),
        )}
      `,
    };
  },
};

function renderTable(parties: readonly Schemas['RelyingParty'][]): TemplateResult {
  return html`<div class="wide" tabindex="0" role="region" aria-label="Relying parties">
    <table>
      <caption class="hidden">
        Relying parties
      </caption>
      <thead>
        <tr>
          <th scope="col">RP ID</th>
          <th scope="col">Name</th>
          <th scope="col">State</th>
          <th scope="col" class="number">Warnings</th>
          <th scope="col">Changed</th>
        </tr>
      </thead>
      <tbody>
        ${parties.map(
          (party) =>
            html`<tr>
              <th scope="row"><a href=${linkTo(['relying-parties', party.rpId])}>${party.rpId}</a></th>
              <td>${party.name}</td>
              <td>${renderState(party)}</td>
              <td class="number">${party.warnings.length}</td>
              <td>${renderTime(party.updatedAt)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** Says if users can use the relying party now. */
export function renderState({ enabled, successor }: Schemas['RelyingParty']): TemplateResult {
  if (!enabled) return html`<span class="badge bad">switched off</span>`;
  if (!successor) return html`<span class="badge good">on</span>`;
  const { endsAt, rpId } = successor;
  if (endsAt !== null && Date.parse(endsAt) <= Date.now()) return html`<span class="badge bad">ended</span>`;
  return html`<span class="badge warn">moves to ${rpId}</span>
    ${endsAt === null ? '' : html`, ends ${renderTime(endsAt)}`}`;
}
