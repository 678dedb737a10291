import { html, nothing, type TemplateResult } from '../parts/html.js';
import { readSamples } from '../ceremonies/replica-counts.js';
import { type Deadline, listDeadlines } from '../explain/deadlines.js';
import { pickSamples, type Sample } from '../explain/metrics.js';
import { type Loading, load, renderEmpty, renderLoading } from '../parts/loading.js';
import { describeDistance, renderTime } from '../parts/time.js';
import { renderRunbook } from '../refusals/explanation.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { type KeyEvent, readKeyEvents } from './key-events.js';
import { type Indicator, readIndicators } from './indicators.js';

export const KEYS: View = {
  path: 'keys',
  title: 'Health and keys',
  group: 'Operation',
  needs: [],
  open: openKeys,
};

function openKeys(page: Page): OpenView {
  const { caller } = page;
  const samples = caller.hasManagement ? load(page, readSamples) : undefined;
  const indicators = caller.hasManagement ? load(page, readIndicators) : undefined;
  let events: Loading<KeyEvent[]> | undefined;
  const read = (): void => {
    events = load(page, readKeyEvents);
  };
  return {
    render: () => html`
      <h1 tabindex="-1">Health and keys</h1>
      <p>When certificates and lists end, how old the keys are, and what is wrong with a replica now.</p>
      ${
        samples && indicators
          ? renderManagement(samples, indicators)
          : renderEmpty(
              'The console does not know the management listener.',
              'Start it with --management URL, such as http://127.0.0.1:8081, to see certificates, lists and readiness.',
            )
      }
      <h2>Keys</h2>
      ${
        events
          ? renderLoading(events, renderKeyEvents)
          : caller.permissions.has('audit:read')
            ? html`<p>The audit log has each change of a key. It records that you looked.</p>
                <button class="primary" @click=${read}>Read the changes of keys</button>`
            : html`<p class="faint lacking">
                The audit log says when each key began. <code>audit:read</code> would show it.
              </p>`
      }
    `,
  };
}

function renderManagement(samples: Loading<Sample[]>, indicators: Loading<Indicator[]>): TemplateResult {
  return html`
    <h2>What ends</h2>
    ${renderLoading(samples, (read) => renderDeadlines(listDeadlines(read, new Date())))}
    <h2>Readiness of this replica</h2>
    ${renderLoading(indicators, renderIndicators)} ${renderLoading(samples, renderLog)}
  `;
}

const URGENCIES: Readonly<Record<Deadline['urgency'], readonly [kind: string, label: string]>> = {
  later: ['good', 'nothing to do'],
  soon: ['warn', 'soon'],
  now: ['bad', 'now'],
  past: ['bad', 'past'],
};

function renderDeadlines(deadlines: readonly Deadline[]): TemplateResult {
  if (deadlines.length === 0) return html`<p>The metrics name nothing that ends.</p>`;
  return html`<div class="wide" tabindex="0" role="region" aria-label="What ends">
    <table>
      <caption class="hidden">
        What ends, the first one first
      </caption>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col">When</th>
          <th scope="col">State</th>
          <th scope="col">Runbook</th>
        </tr>
      </thead>
      <tbody>
        ${deadlines.map(
          ({ name, means, at, urgency, runbook }) =>
            html`<tr>
              <th scope="row">${name} <span class="faint">${means}</span></th>
              <td>${renderTime(at)} <span class="faint">${describeDistance(new Date(), at)}</span></td>
              <td><span class="badge ${URGENCIES[urgency][0]}">${URGENCIES[urgency][1]}</span></td>
              <td>${renderRunbook(runbook)}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function renderIndicators(indicators: readonly Indicator[]): TemplateResult {
  const [down, up] = [indicators.filter(({ isUp }) => !isUp), indicators.filter(({ isUp }) => isUp)];
  return html`
    <section class="verdict ${down.length > 0 ? 'bad' : 'good'}" role="status">
      <h3>${down.length > 0 ? `Not ready: ${down.map(({ name }) => name).join(', ')}` : 'Ready'}</h3>
      ${
        down.length > 0
          ? html`<dl class="facts">${down.map(renderIndicator)}</dl>`
          : html`<p>The replica takes requests.</p>`
      }
    </section>
    <details class="card">
      <summary>What each indicator says (${up.length} up)</summary>
      <dl class="facts">${up.map(renderIndicator)}</dl>
    </details>
  `;
}

function renderIndicator({ name, details, runbook }: Indicator): TemplateResult {
  return html`<dt>${name}</dt>
    <dd>
      ${details.length === 0 ? 'up' : details.map(([key, value]) => html`<div>${key}: ${value}</div>`)}
      ${runbook === undefined ? nothing : html`<div><code>${runbook}</code></div>`}
    </dd>`;
}

/** When the log was signed and anchored last, and when all rows were held against it. */
function renderLog(samples: readonly Sample[]): TemplateResult {
  const times: [label: string, metric: string, label?: string][] = [
    ['Last checkpoint of the audit log', 'passkey_audit_checkpoint_timestamp_seconds'],
    ['Last checkpoint that an anchor has', 'passkey_audit_anchored_checkpoint_timestamp_seconds'],
    ['Last walk through all rows', 'passkey_reconciliation_completed_timestamp_seconds'],
  ];
  const shown = times.flatMap(([label, metric]) => {
    const latest = Math.max(...pickSamples(samples, metric).map(({ value }) => value));
    return latest > 0 && Number.isFinite(latest) ? [[label, new Date(latest * 1_000)] as const] : [];
  });
  return html`<dl class="facts">
    ${shown.map(
      ([label, time]) =>
        html`<dt>${label}</dt>
          <dd>${renderTime(time)} <span class="faint">${describeDistance(new Date(), time)}</span></dd>`,
    )}
  </dl>`;
}

function renderKeyEvents(events: readonly KeyEvent[]): TemplateResult {
  if (events.length === 0)
    return renderEmpty(
      'The audit log has no change of a key.',
      'It may have been archived, or no key was changed since the log began.',
    );
  return html`<div class="wide" tabindex="0" role="region" aria-label="Changes of keys">
    <table>
      <caption class="hidden">
        Changes of keys, the newest first
      </caption>
      <thead>
        <tr>
          <th scope="col">When</th>
          <th scope="col">What</th>
          <th scope="col">Key</th>
        </tr>
      </thead>
      <tbody>
        ${events.map(
          ({ time, words, key }) =>
            html`<tr>
              <td>${renderTime(time)} <span class="faint">${describeDistance(new Date(), time)}</span></td>
              <th scope="row">${words}</th>
              <td>${key === undefined ? '' : html`<code>${key}</code>`}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
