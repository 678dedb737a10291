import { html, nothing, type TemplateResult } from '../parts/html.js';
import { findSetting } from '../explain/party-settings.js';
import { explainRefusal } from '../explain/refusals.js';
import type { Difference } from '../explain/setting-differences.js';
import type { Schemas } from '../shell/api.js';
import { linkTo } from '../shell/router.js';
import { formatSetting } from './setting-field.js';

/** Shows the members that a draft changes, before and after. */
export function renderDifferences(differences: readonly Difference[], caption: string): TemplateResult {
  return html`<div class="wide" tabindex="0" role="region" aria-label=${caption}>
    <table class="differences">
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          <th scope="col">Setting</th>
          <th scope="col">Before</th>
          <th scope="col">After</th>
        </tr>
      </thead>
      <tbody>
        ${differences.map(
          ({ pointer, before, after, weakens }) =>
            html`<tr>
              <th scope="row">
                ${findSetting(pointer)?.title ?? pointer} <code class="faint">${pointer}</code>
                ${weakens ? html`<span class="badge warn">demands less</span>` : nothing}
              </th>
              <td data-name="Before">${formatSetting(findSetting(pointer), before)}</td>
              <td data-name="After">${formatSetting(findSetting(pointer), after)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

type DryRun = Schemas['RelyingPartyDryRun'];
type Refused = DryRun['wouldRefuse'][number];

/**
 * Answers whom the settings would refuse.
 *
 * @param active how many passkeys are active; undefined if the policy does not show it
 */
export function renderDryRun({ wouldRefuse, warnings }: DryRun, active: number | undefined): TemplateResult {
  const alone = wouldRefuse.filter(({ purpose }) => purpose === undefined);
  const count = alone.reduce((sum, { credentials }) => sum + credentials, 0);
  const kind = count > 0 ? 'bad' : wouldRefuse.length > 0 || warnings.length > 0 ? 'warn' : 'good';
  return html`<section class="verdict ${kind}" role="status">
    <h2>${sumUp(count, active)}</h2>
    ${
      count > 0
        ? html`<p>Their users cannot sign in with them from the moment in which the change is stored.</p>`
        : nothing
    }
    ${wouldRefuse.length === 0 ? nothing : renderRefused(wouldRefuse)}
    ${warnings.length === 0 ? nothing : renderWarnings(html`<h3>What browsers and authenticators will not do</h3>`, warnings)}
    <p class="faint">
      A dry run: nothing is stored. It judges the passkeys that exist. Whom a registration would refuse, the warnings
      say.
    </p>
  </section>`;
}

/** What the service says of settings that are allowed, and do not do what their author may expect. */
export function renderWarnings(heading: TemplateResult, warnings: Schemas['PolicyWarnings']): TemplateResult {
  return html`${heading}
    <ul>
      ${warnings.map(
        ({ pointer, detail }) =>
          html`<li>${findSetting(pointer)?.title ?? nothing} <code class="faint">${pointer}</code>: ${detail}</li>`,
      )}
    </ul>`;
}

function sumUp(count: number, active: number | undefined): string {
  const known = active === undefined ? '' : ` of ${active.toLocaleString('en')} active`;
  if (count === 0)
    return `This would refuse none${known === '' ? ' of the passkeys that exist' : `${known} passkeys`}.`;
  return `This would refuse ${count.toLocaleString('en')}${known} passkey${count === 1 && active === undefined ? '' : 's'}.`;
}

function renderRefused(refused: readonly Refused[]): TemplateResult {
  return html`<div class="wide" tabindex="0" role="region" aria-label="Whom this would refuse">
    <table>
      <caption class="hidden">
        Whom this would refuse
      </caption>
      <thead>
        <tr>
          <th scope="col">Model</th>
          <th scope="col" class="number">Passkeys</th>
          <th scope="col">Why</th>
        </tr>
      </thead>
      <tbody>
        ${refused.map(
          ({ aaguid, name, credentials, reason, purpose }) =>
            html`<tr>
              <th scope="row">${name ?? nameModel(aaguid)} <code class="faint">${aaguid}</code></th>
              <td class="number">${credentials.toLocaleString('en')}</td>
              <td>
                ${purpose === undefined ? nothing : html`For the purpose <code>${purpose}</code>: `}
                <a href=${linkTo(['refusals'], { reason })}>${reason}</a> – ${explainRefusal(reason)?.meaning ?? ''}
              </td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const NO_MODEL = '00000000-0000-0000-0000-000000000000';

function nameModel(aaguid: string): string {
  return aaguid === NO_MODEL ? 'no model told' : 'unknown';
}

/** Says that a change waits for the approval of a second identity. */
export function renderWaiting({ id, expiresAt, change }: Schemas['Approval']): TemplateResult {
  return html`<section class="verdict warn" role="status">
    <h2>The change waits for a second identity</h2>
    <p>
      It demands less, so the access policy asks for an approval. Nothing has changed yet. Another identity with
      <code>approvals:decide</code> must approve it before <time datetime=${expiresAt}>${expiresAt}</time>, or it ends.
    </p>
    <p>
      The request is <code>${id}</code>${
        change === undefined
          ? nothing
          : html`, for version ${change.version}: it ends, too, if the relying party changes meanwhile`
      }.
    </p>
  </section>`;
}
