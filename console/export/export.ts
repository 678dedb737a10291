import { html, nothing, type TemplateResult } from '../parts/html.js';
import { verifyExport } from '../../src/tlog/export-verifier.js';
import { toLocal, toUtc } from '../parts/time.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { renderOutcome } from './outcome.js';
import { Reading } from './reading.js';

export const EXPORT: View = {
  path: 'export',
  title: 'Export',
  group: 'Audit',
  needs: ['audit:read', 'audit:export'],
  open: openExport,
};

/** A part of the log as a file, verified in the page. The address has the times, so that a link repeats it. */
function openExport(page: Page): OpenView {
  const range = { from: page.query.get('from') ?? '', to: page.query.get('to') ?? '' };
  let reading: Reading | undefined;
  const begin = (): void => {
    reading = new Reading(range, page.update);
    void reading.run((chunks, keys, onProgress) => verifyExport(chunks, keys, { onProgress }), true, page.signal);
    page.update();
  };
  if (page.query.has('begin')) begin();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    const time = (name: string): string => {
      const value = form.get(name);
      return toUtc(typeof value === 'string' ? value : '');
    };
    const address = linkTo(['export'], { from: time('from'), to: time('to'), begin: 'yes' });
    if (address === location.hash) begin();
    else location.hash = address;
  };
  return {
    render: (): TemplateResult => html`
      <h1 tabindex="-1">Export</h1>
      <p>
        The events of a time, or the whole log, with the proof that none is missing. The page verifies them as they
        arrive, with the keys that the service names, and the file can be verified again by anybody. The log records the
        export.
      </p>
      <form class="filters" aria-label="Times" @submit=${submit}>
        <label>From <input type="datetime-local" step="1" name="from" .value=${toLocal(range.from)} /></label>
        <label>Before <input type="datetime-local" step="1" name="to" .value=${toLocal(range.to)} /></label>
        <p class="actions">
          <button class="primary" ?disabled=${reading?.state === 'reading'}>Export and verify</button>
          <span class="faint">Without times: the whole log.</span>
        </p>
      </form>
      ${reading ? renderOutcome(reading, begin) : nothing}
    `,
  };
}
