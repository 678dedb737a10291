import { html, type TemplateResult } from '../parts/html.js';
import { parseMetrics, pickSamples, type Sample } from '../explain/metrics.js';
import { readConsole } from '../shell/api.js';

/** Reads the metrics of one replica from its management listener. @throws Problem */
export async function readSamples(): Promise<Sample[]> {
  const response = await readConsole('management/metrics');
  return parseMetrics(await response.text());
}

interface Count {
  readonly what: string;
  readonly metric: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** What no relying party's statistics have. */
const COUNTS: readonly Count[] = [
  {
    what: 'Answers to a challenge that was spent, has expired or cannot be opened',
    metric: 'passkey_audit_events_total',
    labels: { reason: 'challenge-spent' },
  },
  {
    what: 'Calls that the access policy denied',
    metric: 'passkey_access_decisions_total',
    labels: { outcome: 'denied' },
  },
  { what: 'TLS handshakes that failed', metric: 'passkey_tls_handshakes_refused_total' },
  { what: 'Requests that were shed', metric: 'passkey_http_requests_shed_total' },
  { what: 'Risk signals', metric: 'passkey_risk_signals_total' },
];

/** Shows what one replica has counted since its start, for all relying parties together. */
export function renderMetrics(samples: readonly Sample[]): TemplateResult {
  return html`<section>
    <h2>What this replica has counted since its start</h2>
    <p class="faint">From the metrics of the management listener, for all relying parties together.</p>
    <table>
      <thead>
        <tr>
          <th scope="col">What</th>
          <th scope="col" class="number">Count</th>
        </tr>
      </thead>
      <tbody>
        ${COUNTS.map(
          (count) =>
            html`<tr>
              <th scope="row">${count.what}</th>
              <td class="number">${addUp(samples, count).toLocaleString('en')}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`;
}

function addUp(samples: readonly Sample[], { metric, labels = {} }: Count): number {
  return pickSamples(samples, metric)
    .filter((sample) => Object.entries(labels).every(([name, value]) => sample.labels[name] === value))
    .reduce((sum, { value }) => sum + value, 0);
}
