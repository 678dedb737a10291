import { html, nothing, type TemplateResult } from '../parts/html.js';
import type { Plot, Report, Section } from '../../commands/audit-report/report.js';
import { type PlotData, TimePlot } from '../parts/time-plot.js';
import { styled } from '../parts/styled.js';
import { renderTime } from '../parts/time.js';

const HOUR_MS = 3_600_000;
/** A time of the report, which is in UTC. A day has no time. */
const MOMENT = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}(?::\d{2})?$/;
const LEVELS = { act: 'Act', look: 'Look', note: 'Note' } as const;
const COLOURS = { events: '--plot-1', accepted: '--plot-accepted', refused: '--plot-refused' } as const;

/** The remarks, figures, plots and tables of a report, as the HTML page of `audit:report` has them. */
export class ReportSections {
  readonly #begin: Date;
  readonly #end: Date;
  readonly #signal: AbortSignal;
  readonly #plots = new Map<Plot, { plot: TimePlot; data: PlotData }>();

  /** @param signal aborted when the view closes */
  constructor(begin: Date, end: Date, signal: AbortSignal) {
    [this.#begin, this.#end, this.#signal] = [begin, end, signal];
  }

  render({ figures, remarks, sections }: Report): TemplateResult {
    return html`<p class="faint">${renderTime(this.#begin)} to ${renderTime(this.#end)}</p>
      <dl class="tiles">
        ${figures.map(
          ({ name, value, more }) =>
            html`<div>
              <dt>${name}</dt>
              <dd>${value} ${more === undefined ? nothing : html`<span class="faint">${more}</span>`}</dd>
            </div>`,
        )}
      </dl>
      <section>
        <h2>To look at</h2>
        ${
          remarks.length === 0
            ? html`<p>Nothing.</p>`
            : html`<ul class="remarks">
                ${remarks.map(
                  ({ level, text, section }) =>
                    html`<li class=${level}>
                      <strong>${LEVELS[level]}</strong>
                      ${
                        section === undefined
                          ? text
                          : html`<button
                              class="link"
                              @click=${() => {
                                show(section);
                              }}
                            >
                              ${text}
                            </button>`
                      }
                    </li>`,
                )}
              </ul>`
        }
      </section>
      ${sections.map((section) => this.#renderSection(section))}`;
  }

  #renderSection({ id, title, note, columns, rows, empty, plot }: Section): TemplateResult {
    return html`<section class="report" id=${`section-${id}`} tabindex="-1">
      <h2>${title}</h2>
      ${note === undefined ? nothing : html`<p class="faint">${note}</p>`}
      ${rows.length > 0 && plot ? this.#renderPlot(plot) : nothing}
      ${
        rows.length === 0
          ? html`<p>${empty}</p>`
          : html`<div class="scroll" tabindex="0" role="region" aria-label=${title}>
              <table>
                <thead>
                  <tr>
                    ${columns.map(({ title, numeric }) => html`<th scope="col" class=${numeric ? 'number' : ''}>${nameColumn(title)}</th>`)}
                  </tr>
                </thead>
                <tbody>
                  ${rows.map(
                    (row) =>
                      html`<tr>
                        ${row.map((cell, at) => html`<td class=${columns[at]?.numeric ? 'number' : ''}>${renderCell(cell)}</td>`)}
                      </tr>`,
                  )}
                </tbody>
              </table>
            </div>`
      }
    </section>`;
  }

  #renderPlot(plot: Plot): TemplateResult {
    if (plot.kind === 'bars') return renderBars(plot);
    let known = this.#plots.get(plot);
    if (!known) {
      const { title, series, of } = plot;
      const step = series.hours * HOUR_MS;
      const counted = new Map(series.buckets.map((bucket) => [bucket.start.getTime(), bucket]));
      const times: number[] = [];
      // From the first hour of the day, even if nothing happened then.
      const first = Math.min(Math.floor(this.#begin.getTime() / step) * step, ...counted.keys());
      for (let time = first; time < this.#end.getTime(); time += step) times.push(time);
      const lines = of.map(({ name, count }) => {
        return { name, colour: COLOURS[count], counts: times.map((time) => counted.get(time)?.[count] ?? 0) };
      });
      const data = { times: times.map((time) => new Date(time)), lines };
      const hours = series.hours === 1 ? 'hour' : `${String(series.hours)} hours`;
      known = { plot: new TimePlot(`${title} per ${hours}`, this.#signal), data };
      this.#plots.set(plot, known);
    }
    return known.plot.render(known.data);
  }
}

/** The table below has the figures. */
function renderBars({ bars }: Extract<Plot, { kind: 'bars' }>): TemplateResult {
  const most = Math.max(1, ...bars.map(({ count }) => count));
  return html`<div class="bars" aria-hidden="true">
    ${bars.map(
      ({ label, count }) =>
        html`<span>${label}</span> <span class="bar" ${styled({ width: `${String((100 * count) / most)}%` })}></span>`,
    )}
  </div>`;
}

/** The page shows times in the reader's zone, and days as the report counts them. */
const nameColumn = (title: string): string => title.replace(/^(Hour|First|Last|Time) \(UTC\)$/, '$1');
const renderCell = (cell: string): TemplateResult | string =>
  MOMENT.test(cell) ? renderTime(`${cell.replace(' ', 'T')}Z`) : cell;

/** A link would change the address, which is that of the view. */
function show(section: string): void {
  const element = document.getElementById(`section-${section}`);
  element?.scrollIntoView();
  element?.focus({ preventScroll: true });
}
