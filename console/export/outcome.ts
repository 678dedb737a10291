import { html, nothing, type TemplateResult } from '../parts/html.js';
import { renderProblem } from '../shell/problem.js';
import { saveFile } from '../parts/save.js';
import { renderTime } from '../parts/time.js';
import type { Reading } from './reading.js';

/** Says how far a reading is, or what came of it. */
export function renderOutcome(reading: Reading, again: () => void): TemplateResult {
  const { state, error, proved } = reading;
  if (state === 'reading') return renderProgress(reading);
  if (state === 'broken') return renderProblem(error, again);
  if (state === 'stopped')
    return html`<section class="verdict warn" role="status">
      <h2>Stopped</h2>
      <p>What had arrived by then proves nothing: an export is proved by its last line.</p>
      <button @click=${again}>Read again</button>
    </section>`;
  if (state === 'refused')
    return html`<section class="verdict bad" role="alert">
      <h2>The export does not verify</h2>
      <p><strong>${(error as Error).message}</strong></p>
      <p>
        Somebody changed the log, or what the service sent. Keep this file, do not restart the service, and follow “The
        log was changed” in the runbook.
      </p>
      ${renderFacts(reading)}
    </section>`;
  if (!proved) return html`${nothing}`;
  const { from, to, events, erased, checkpoint, span } = proved;
  return html`<section class="verdict good" role="status">
    <h2>Verified</h2>
    <p>Every event is as it was logged, and none of the range is missing.</p>
    <dl class="facts">
      <dt>Events</dt>
      <dd>${format(events)}${erased === 0 ? nothing : html`, and ${format(erased)} that are erased`}</dd>
      <dt>Places</dt>
      <dd>${to === from ? 'none' : `${format(from)} to ${format(to - 1)}`} of ${format(checkpoint.size)}</dd>
      ${
        span
          ? html`<dt>Time</dt>
              <dd>${renderTime(span[0])} to ${renderTime(span[1])}</dd>`
          : nothing
      }
      <dt>Signed</dt>
      <dd>
        ${checkpoint.time ? html`${renderTime(checkpoint.time)}, ` : nothing}by
        ${checkpoint.keys.map(({ algorithm, keyId }) => `${algorithm} (${keyId})`).join(' and ')}
      </dd>
      <dt>Root</dt>
      <dd><code>${checkpoint.root.toString('base64')}</code></dd>
    </dl>
    ${renderFacts(reading)}
  </section>`;
}

function renderProgress(reading: Reading): TemplateResult {
  return html`<section class="verdict" aria-live="off">
    <p>
      <progress aria-label="Reading and verifying"></progress>
      ${format(reading.lines)} records, ${formatBytes(reading.bytes)}. Each is verified as it arrives.
    </p>
    <button
      @click=${() => {
        reading.stop();
      }}
    >
      Stop
    </button>
  </section>`;
}

function renderFacts({ bytes, took, digest, range, file }: Reading): TemplateResult {
  const name = `audit-export-${range.from || 'begin'}-${range.to || 'now'}.ndjson`.replaceAll(':', '');
  return html`<dl class="facts">
      <dt>File</dt>
      <dd>${formatBytes(bytes)} in ${(took / 1_000).toFixed(1)} s</dd>
      <dt>SHA-256</dt>
      <dd><code>${digest}</code></dd>
    </dl>
    ${
      file
        ? html`<button
            @click=${() => {
              saveFile(name, file);
            }}
          >
            Save the file
          </button>`
        : nothing
    }`;
}

const format = (count: number): string => count.toLocaleString('en');

function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${String(bytes)} bytes`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(1)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
