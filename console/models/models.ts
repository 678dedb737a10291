import { html, nothing, type TemplateResult } from '../parts/html.js';
import { renderNoCounts } from '../ceremonies/ceremonies.js';
import { readCounts, readPeriod, renderPeriod } from '../ceremonies/period.js';
import { formatShare } from '../explain/ceremony-counts.js';
import { findSetting } from '../explain/party-settings.js';
import { load, renderEmpty, renderLoading } from '../parts/loading.js';
import { renderTime } from '../parts/time.js';
import type { Schemas } from '../shell/api.js';
import type { OpenView, Page, View } from '../shell/view.js';

export const MODELS: View = {
  path: 'models',
  title: 'Models',
  group: 'Operation',
  needs: ['statistics:read'],
  open: openModels,
};

type Counts = Schemas['CredentialStatistics'];

function openModels(page: Page): OpenView {
  const counts = load(page, (signal) => readCounts(page, signal));
  return {
    render: () => html`
      <h1 tabindex="-1">Models and backup state</h1>
      ${renderLoading(counts, (counted) => {
        const { parties, statistics } = counted;
        const chosen = statistics?.rpId ?? readPeriod(page.query).rpId;
        const form = renderPeriod(page, { view: 'models', parties, chosen, hasDays: false });
        if (!statistics) return html`${form}${renderNoCounts(counted)}`;
        return html`${form}${statistics.credentials ? renderCounts(statistics.credentials) : renderUncounted()}`;
      })}
    `,
  };
}

function renderUncounted(): TemplateResult {
  return renderEmpty(
    'The passkeys were never counted yet.',
    'A relying party with many passkeys is counted in the background. Come back in a few minutes.',
  );
}

function renderCounts(counts: Counts): TemplateResult {
  const { byStatus, byModel, otherModels, byBackup, byTrust, byAlgorithm, unusedFor90Days, computedAt } = counts;
  const kept = byStatus.active + byStatus.suspended;
  const tiles: [label: string, count: number][] = [
    ['Active', byStatus.active],
    ['Suspended', byStatus.suspended],
    ['Revoked', byStatus.revoked],
    ['Not used for 90 days', unusedFor90Days],
  ];
  const models = byModel.map(({ aaguid, name, credentials }): Row => ({
    label: name ?? 'unknown',
    code: aaguid,
    credentials,
  }));
  return html`
    <dl class="tiles">
      ${tiles.map(
        ([label, count]) =>
          html`<div>
            <dt>${label}</dt>
            <dd>${count.toLocaleString('en')}</dd>
          </div>`,
      )}
    </dl>
    ${
      kept === 0
        ? renderEmpty(
            'There is no passkey that is not revoked.',
            'Users register passkeys through the calling application.',
          )
        : html`${renderRows('By model', 'Model', [...models, ...rest(otherModels)], kept)}
            <section class="plots">
              ${renderRows('By backup state', 'State', byBackup.map(describeBackup), kept)}
              ${renderRows('By trust of the attestation', 'Trust', describeTrust(byTrust), kept)}
              ${renderRows('By algorithm', 'Algorithm', byAlgorithm.map(describeAlgorithm), kept)}
            </section>`
    }
    <p class="faint">
      Counted at ${renderTime(computedAt)}. The tables leave out revoked passkeys. A model is what the authenticator
      claims to be; only a trusted attestation proves it.
    </p>
  `;
}

interface Row {
  readonly label: string;
  readonly code?: string;
  readonly credentials: number;
}

function rest(otherModels: number): Row[] {
  return otherModels === 0 ? [] : [{ label: 'all other models', credentials: otherModels }];
}

function describeBackup({ backupEligible, backedUp, credentials }: Counts['byBackup'][number]): Row {
  if (backupEligible === null) return { label: 'imported, and not known before the next use', credentials };
  if (!backupEligible) return { label: 'bound to its device', credentials };
  return { label: backedUp ? 'can be backed up, and is' : 'can be backed up, and is not yet', credentials };
}

function describeTrust(byTrust: Counts['byTrust']): Row[] {
  const words = {
    none: 'none: nothing proves the model',
    self: 'self: the passkey vouches for itself',
    untrusted: 'untrusted: no known root',
    trusted: 'trusted',
  };
  return (Object.keys(words) as (keyof typeof words)[])
    .map((trust) => ({ label: words[trust], credentials: byTrust[trust] }))
    .filter(({ credentials }) => credentials > 0);
}

function describeAlgorithm({ algorithm, credentials }: Counts['byAlgorithm'][number]): Row {
  const form = findSetting('/policy/algorithms')?.form;
  const choice = form?.kind === 'choices' ? form.choices.find(({ value }) => value === algorithm) : undefined;
  return { label: choice?.label ?? String(algorithm), credentials };
}

function renderRows(caption: string, head: string, rows: readonly Row[], all: number): TemplateResult {
  return html`<div class="wide" tabindex="0" role="region" aria-label=${caption}>
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          <th scope="col">${head}</th>
          <th scope="col" class="number">Passkeys</th>
          <th scope="col" class="number">Share</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ label, code, credentials }) =>
            html`<tr>
              <th scope="row">${label} ${code === undefined ? nothing : html`<code class="faint">${code}</code>`}</th>
              <td class="number">${credentials.toLocaleString('en')}</td>
              <td class="number">${formatShare(credentials, all)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
