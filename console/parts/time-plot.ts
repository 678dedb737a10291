import { html, type TemplateResult } from './html.js';
import { ref } from 'lit-html/directives/ref.js';
import uPlot from 'uplot';
import { renderTime } from './time.js';

export interface Line {
  readonly name: string;
  /** A custom property of the style sheet, such as `--plot-1`. */
  readonly colour: string;
  /** One for each time. */
  readonly counts: readonly number[];
}

export interface PlotData {
  readonly times: readonly Date[];
  readonly lines: readonly Line[];
}

const HEIGHT = 220;

/** A plot over time, and the same figures as a table, which a reader of the screen can read and anybody can copy. */
export class TimePlot {
  readonly #label: string;
  readonly #resized = new ResizeObserver(() => {
    this.#draw();
  });
  #place: HTMLElement | undefined;
  #plot: uPlot | undefined;
  #data: PlotData | undefined;
  #width = 0;

  /** @param signal aborted when the view closes */
  constructor(label: string, signal: AbortSignal) {
    this.#label = label;
    const redraw = (): void => {
      this.#draw(true);
    };
    addEventListener('themechange', redraw, { signal });
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw, { signal });
    signal.addEventListener('abort', () => {
      this.#attach(undefined);
    });
  }

  render(data: PlotData): TemplateResult {
    const isNew = data !== this.#data;
    this.#data = data;
    // The legend, which has the colours, is drawn first.
    if (isNew)
      requestAnimationFrame(() => {
        this.#draw(true);
      });
    const { times, lines } = data;
    return html`<figure class="plot">
      <figcaption>
        ${this.#label}
        <ul class="legend">
          ${lines.map(
            ({ name, colour }) =>
              html`<li><span class="chip ${colour.slice(2)}" aria-hidden="true"></span>${name}</li>`,
          )}
        </ul>
      </figcaption>
      <div
        class="canvas"
        role="img"
        aria-label=${`${this.#label}. The table below has the figures.`}
        ${ref(this.#attach)}
      ></div>
      <details>
        <summary>The figures as a table</summary>
        <div class="scroll" tabindex="0" role="region" aria-label=${`${this.#label}, as a table`}>
          <table>
            <thead>
              <tr>
                <th scope="col">From</th>
                ${lines.map(({ name }) => html`<th scope="col" class="number">${name}</th>`)}
              </tr>
            </thead>
            <tbody>
              ${times.map(
                (time, at) =>
                  html`<tr>
                    <th scope="row">${renderTime(time)}</th>
                    ${lines.map(({ counts }) => html`<td class="number">${counts[at]}</td>`)}
                  </tr>`,
              )}
            </tbody>
          </table>
        </div>
      </details>
    </figure>`;
  }

  readonly #attach = (element: Element | undefined): void => {
    this.#resized.disconnect();
    this.#plot?.destroy();
    this.#plot = undefined;
    this.#place = element as HTMLElement | undefined;
    if (this.#place) this.#resized.observe(this.#place);
  };

  #draw(anew = false): void {
    const [place, data] = [this.#place, this.#data];
    if (!place || !data || place.clientWidth === 0) return;
    if (!anew && place.clientWidth === this.#width && this.#plot) return;
    this.#width = place.clientWidth;
    this.#plot?.destroy();
    const style = getComputedStyle(place);
    // A canvas takes colours as they are computed, and a custom property is not.
    const [ink, grid] = [style.color, style.borderTopColor];
    const chips = place.parentElement!.querySelectorAll('.chip');
    const axis = {
      stroke: ink,
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1 },
      font: '12px system-ui',
    };
    const times = data.times.map((time) => time.getTime() / 1_000);
    const bars = uPlot.paths.bars!({ size: [0.8, 40] });
    const lone = data.lines.length === 1;
    const options: uPlot.Options = {
      width: this.#width,
      height: HEIGHT,
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
      axes: [
        { ...axis, values: (_, splits) => splits.map(formatTick) },
        { ...axis, size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7] },
      ],
      series: [
        {},
        ...data.lines.map(({ name }, at) => {
          const stroke = chips[at] ? getComputedStyle(chips[at]).backgroundColor : ink;
          return {
            label: name,
            stroke,
            width: 2,
            points: { show: times.length < 3 },
            ...(lone && { paths: bars, fill: stroke }),
          };
        }),
      ],
    };
    this.#plot = new uPlot(options, [times, ...data.lines.map(({ counts }) => [...counts])], place);
  }
}

const DAY = new Intl.DateTimeFormat('sv-SE', { month: '2-digit', day: '2-digit' });
const HOUR = new Intl.DateTimeFormat('sv-SE', { hour: '2-digit', minute: '2-digit' });

/** Writes the day at midnight, and otherwise the time, in the reader's zone. */
function formatTick(seconds: number): string {
  const time = new Date(seconds * 1_000);
  return time.getHours() === 0 && time.getMinutes() === 0 ? DAY.format(time) : HOUR.format(time);
}
