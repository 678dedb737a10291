import { html, nothing, type TemplateResult } from '../parts/html.js';
import { CEREMONIES as ALL, type Ceremony, formatShare, layOut, type Timeline } from '../explain/ceremony-counts.js';
import { load, renderEmpty, renderLoading } from '../parts/loading.js';
import { type PlotData, TimePlot } from '../parts/time-plot.js';
import { renderTime } from '../parts/time.js';
import type { Schemas } from '../shell/api.js';
import { renderProblem } from '../shell/problem.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { renderMetrics, readSamples } from './replica-counts.js';
import { type Counted, readCounts, readPeriod, renderPeriod } from './period.js';

export const CEREMONIES: View = {
  path: 'ceremonies',
  title: 'Ceremonies',
  group: 'Operation',
  needs: ['statistics:read'],
  open: openCeremonies,
};

/** As many reasons as a plot can tell apart. */
const PLOTTED = 6;

function openCeremonies(page: Page): OpenView {
  const counts = load(page, (signal) => readCounts(page, signal));
  const samples = page.caller.hasManagement ? load(page, readSamples) : undefined;
  const chosen = ALL.find((ceremony) => ceremony === page.query.get('ceremony'));
  const outcomes = new TimePlot('Ceremonies by outcome', page.signal);
  const reasons = new TimePlot('Refusals by reason', page.signal);
  let plotted: { of: Schemas['Statistics']; timeline: Timeline; outcomes: PlotData; reasons: PlotData } | undefined;
  const plot = (statistics: Schemas['Statistics']): NonNullable<typeof plotted> => {
    if (plotted?.of === statistics) return plotted;
    const timeline = layOut(statistics, chosen);
    return (plotted = { of: statistics, timeline, ...drawTimeline(timeline) });
  };
  return {
    render: () => html`
      <h1 tabindex="-1">Ceremonies</h1>
      ${renderLoading(counts, (counted) => {
        const { parties, statistics } = counted;
        const rpId = statistics?.rpId ?? readPeriod(page.query).rpId;
        const form = renderPeriod(page, {
          view: 'ceremonies',
          parties,
          chosen: rpId,
          further: renderCeremonies(chosen),
        });
        if (!statistics) return html`${form}${renderNoCounts(counted)}`;
        const drawn = plot(statistics);
        return html`${form} ${renderTotals(drawn.timeline, statistics, chosen)}
          <section class="plots">
            ${outcomes.render(drawn.outcomes)}
            ${drawn.timeline.reasons.length === 0 ? nothing : reasons.render(drawn.reasons)}
          </section>
          ${renderReasons(drawn.timeline, page.query)}
          <p class="faint">${renderAge(statistics.ceremonies)}</p>`;
      })}
      ${samples ? renderLoading(samples, renderMetrics) : nothing}
    `,
  };
}

/** Says why there are no counts. */
export function renderNoCounts({ parties, error }: Counted): TemplateResult {
  if (error) return renderProblem(error);
  return parties
    ? renderEmpty('There is no relying party.', 'Create one with PUT /v1/relying-parties/{rpId}.')
    : renderEmpty('Which relying party?', 'Type its RP ID. The permission relying-parties:read would list them.');
}

function renderCeremonies(chosen: Ceremony | undefined): TemplateResult {
  return html`<label>
    Ceremony
    <select name="ceremony">
      <option value="">All</option>
      ${ALL.map((each) => html`<option value=${each} .selected=${each === chosen}>${each}</option>`)}
    </select>
  </label>`;
}

function drawTimeline({ times, begun, accepted, refused, reasons }: Timeline): {
  outcomes: PlotData;
  reasons: PlotData;
} {
  const line = (name: string, colour: string, counts: readonly number[]): PlotData['lines'][number] => {
    return { name, colour, counts };
  };
  return {
    outcomes: {
      times,
      lines: [
        line('begun', '--plot-begun', begun.counts),
        line('accepted', '--plot-accepted', accepted.counts),
        line('refused', '--plot-refused', refused.counts),
      ],
    },
    reasons: {
      times,
      lines: reasons.slice(0, PLOTTED).map(({ name, counts }, at) => line(name, `--plot-${String(at + 1)}`, counts)),
    },
  };
}

function renderTotals(timeline: Timeline, { ceremonies }: Schemas['Statistics'], chosen?: Ceremony): TemplateResult {
  const { begun, accepted, refused } = timeline;
  const answered = accepted.total + refused.total;
  const tiles: [label: string, value: string, note: string][] = [
    ['Begun', begun.total.toLocaleString('en'), 'challenges, counted within a minute'],
    ['Accepted', accepted.total.toLocaleString('en'), `${formatShare(accepted.total, answered)} of the answers`],
    ['Refused', refused.total.toLocaleString('en'), `${formatShare(refused.total, answered)} of the answers`],
  ];
  if (chosen === undefined) {
    const { neverAnswered } = ceremonies;
    tiles.push([
      'Never answered',
      neverAnswered.toLocaleString('en'),
      `${formatShare(neverAnswered, ceremonies.begun)} of those begun`,
    ]);
  }
  return html`<dl class="tiles">
    ${tiles.map(
      ([label, value, note]) =>
        html`<div>
          <dt>${label}</dt>
          <dd>${value} <span class="faint">${note}</span></dd>
        </div>`,
    )}
  </dl>`;
}

function renderReasons({ reasons, refused }: Timeline, query: URLSearchParams): TemplateResult {
  if (reasons.length === 0) return html`<p>No ceremony was refused in this time.</p>`;
  const { rpId, days } = readPeriod(query);
  const link = (reason: string): string => linkTo(['refusals'], { reason, rpId, days: String(days) });
  return html`<table>
    <caption>
      Refusals by reason
    </caption>
    <thead>
      <tr>
        <th scope="col">Reason</th>
        <th scope="col" class="number">Refused</th>
        <th scope="col" class="number">Share</th>
      </tr>
    </thead>
    <tbody>
      ${reasons.map(
        ({ name, total }) =>
          html`<tr>
            <th scope="row"><a href=${link(name)}>${name}</a></th>
            <td class="number">${total.toLocaleString('en')}</td>
            <td class="number">${formatShare(total, refused.total)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function renderAge({ computedAt, since }: Schemas['CeremonyStatistics']): TemplateResult {
  if (computedAt === null) return html`Nothing is counted yet. The service counts in the background.`;
  return html`Counted up to
  ${renderTime(computedAt)}${since === null ? nothing : html`, and whole from ${renderTime(since)} on`}.`;
}
