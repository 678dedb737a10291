import { html, nothing, type TemplateResult } from '../parts/html.js';
import { type Report, buildReport } from '../../commands/audit-report/report.js';
import { Review, reviewExport } from '../../commands/audit-report/review.js';
import { findAuthenticatorName } from '../../src/authenticators/authenticator-names.js';
import type { ProvedExport } from '../../src/tlog/export-verifier.js';
import { renderOutcome } from '../export/outcome.js';
import { Reading } from '../export/reading.js';
import { nameZone } from '../parts/time.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { ReportSections } from './sections.js';

export const REVIEW: View = {
  path: 'review',
  title: 'Daily review',
  group: 'Audit',
  needs: ['audit:read', 'audit:export'],
  open: openReview,
};

const DAY = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short' });

/** The review of one day (PCI DSS 4.0.1 10.4.1.1): a verified export, counted as `audit:report` counts it. */
function openReview(page: Page): OpenView {
  const day = readDay(page.query.get('day'));
  const [begin, end] = [new Date(`${day}T00:00:00`), new Date(`${day}T00:00:00`)];
  end.setDate(end.getDate() + 1);
  let reading: Reading | undefined;
  let report: Report | undefined;
  const sections = new ReportSections(begin, end, page.signal);
  const read = (): void => {
    report = undefined;
    const review = new Review({ from: begin.getTime(), to: end.getTime() });
    reading = new Reading({ from: begin.toISOString(), to: end.toISOString() }, page.update);
    const verify: Parameters<Reading['run']>[0] = async (chunks, keys, onProgress) => {
      const proved: ProvedExport = (await reviewExport(chunks, review, keys, { onProgress }))!;
      report = buildReport(review, { file: 'the service', proved, modelName: findAuthenticatorName });
      return proved;
    };
    void reading.run(verify, false, page.signal);
    page.update();
  };
  if (page.query.has('day')) read();
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const chosen = new FormData(event.currentTarget as HTMLFormElement).get('day');
    const address = linkTo(['review'], { day: typeof chosen === 'string' ? chosen : '' });
    if (address === location.hash) read();
    else location.hash = address;
  };
  return {
    render: (): TemplateResult => html`
      <h1 tabindex="-1">Daily review${reading ? ` of ${day}` : ''}</h1>
      <form class="filters" aria-label="Day" @submit=${submit}>
        <label>Day <input type="date" name="day" required max=${DAY.format(new Date())} .value=${day} /></label>
        <p class="actions">
          <button class="primary" ?disabled=${reading?.state === 'reading'}>Review this day</button>
          ${
            report
              ? html`<button
                  type="button"
                  @click=${() => {
                    print();
                  }}
                >
                  Print
                </button>`
              : nothing
          }
          <span class="faint">Midnight to midnight in ${nameZone()}. The log records that you read it.</span>
        </p>
      </form>
      ${reading ? renderOutcome(reading, read) : nothing} ${report ? sections.render(report) : nothing}
    `,
  };
}

/** @returns a day as YYYY-MM-DD; yesterday for anything else */
function readDay(text: string | null): string {
  if (text !== null && /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  return DAY.format(yesterday);
}
