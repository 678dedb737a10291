import { html, nothing, type TemplateResult } from '../parts/html.js';
import type { SignedCheckpoint } from '../../src/tlog/checkpoint.js';
import { Confirmation } from '../parts/confirmation.js';
import { type Loading, load, renderLoading } from '../parts/loading.js';
import { saveText } from '../parts/save.js';
import { renderTime } from '../parts/time.js';
import { toast } from '../parts/toast.js';
import { readText } from '../shell/api.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { forgetKept, readKept, writeKept } from './kept-checkpoint.js';
import { judge, type Kept, nameKey, recordBreak, remember, type Shown, type Verdict } from './witness.js';

export const LOG: View = {
  path: 'log',
  title: 'Log',
  group: 'Audit',
  needs: ['audit:read'],
  open: (page) => new LogView(page),
};

const AGAIN_MS = 30_000;

interface Judged {
  readonly shown: Shown;
  readonly verdict: Verdict;
  readonly kept: Kept | undefined;
}

/** The log as this browser has watched it. */
class LogView implements OpenView {
  readonly #page: Page;
  readonly #judged: Loading<Judged>;
  readonly #confirmation: Confirmation;

  constructor(page: Page) {
    this.#page = page;
    this.#confirmation = new Confirmation(page.update);
    this.#judged = load(page, (signal) => this.#look(signal));
    const timer = setInterval(this.#judged.reload, AGAIN_MS);
    page.signal.addEventListener('abort', () => {
      clearInterval(timer);
    });
  }

  render(): TemplateResult {
    return html`
      <h1 tabindex="-1">Log</h1>
      <p>
        This browser is a witness: it keeps the last checkpoint that it verified, and demands that the log continues it.
        It looks again every ${AGAIN_MS / 1_000} seconds.
      </p>
      ${renderLoading(this.#judged, (judged) => this.#renderJudged(judged))}
      <p class="actions">
        <button ?disabled=${this.#judged.isLoading} @click=${this.#judged.reload}>Check now</button>
        ${localStorageHas(this.#service) ? html`<button class="danger" @click=${this.#forget}>Forget the checkpoint</button>` : nothing}
      </p>
      ${this.#confirmation.render()}
    `;
  }

  get #service(): string {
    return this.#page.caller.service;
  }

  async #look(signal: AbortSignal): Promise<Judged> {
    const before = readKept(this.#service);
    const [keys, note] = await Promise.all([
      readText('/v1/audit/key', {}, { signal }),
      readText('/v1/audit/checkpoint', {}, { signal }),
    ]);
    const shown = { keys, note };
    const verdict = await judge(before, shown, (from, to) =>
      readText('/v1/audit/consistency', { query: { from: String(from), to: String(to) } }, { signal }),
    );
    const kept = keep(before, shown, verdict);
    if (kept) writeKept(this.#service, kept);
    return { shown, verdict, kept };
  }

  #renderJudged({ shown, verdict, kept }: Judged): TemplateResult {
    const { checkpoint } = verdict;
    return html`
      ${kept?.breaks?.length ? this.#renderBreaks(kept, verdict) : nothing} ${this.#renderVerdict(verdict, shown)}
      ${checkpoint ? renderCheckpoint('The latest checkpoint', checkpoint) : nothing}
      ${
        kept
          ? html`<h2>Watched</h2>
              <dl class="facts">
                <dt>Since</dt>
                <dd>${renderTime(kept.since)}</dd>
                <dt>Last seen to go on</dt>
                <dd>${renderTime(kept.seen)}</dd>
              </dl>`
          : nothing
      }
      <details>
        <summary>The signed note and the verifier keys</summary>
        <pre>${shown.note}</pre>
        <pre>${shown.keys}</pre>
      </details>
    `;
  }

  #renderVerdict(verdict: Verdict, shown: Shown): TemplateResult {
    const { kind, fault, before, checkpoint } = verdict;
    if (kind === 'broken')
      return html`<section class="verdict bad" role="alert">
        <h2>The log does not hold</h2>
        <p><strong>${fault}</strong></p>
        <p>
          ${
            before
              ? html`The browser keeps the checkpoint of ${before.size.toLocaleString('en')} events.`
              : 'The browser keeps nothing of it.'
          }
          Save the evidence, and give it to whoever investigates. The operator finds the next steps in the runbook,
          under “The audit log fails”.
        </p>
      </section>`;
    if (kind === 'keys')
      return html`<section class="verdict warn" role="alert">
        <h2>Others sign the log</h2>
        <p>
          The log continues, but the keys are not those that this browser knows. Compare them with who runs the service.
        </p>
        ${renderNames('New', verdict.added)} ${renderNames('Gone', verdict.gone)}
        <p>
          <button
            @click=${() => {
              this.#acceptKeys(shown);
            }}
          >
            These keys are right
          </button>
        </p>
      </section>`;
    return html`<section class="verdict good" role="status">
      <h2>${kind === 'begins' ? 'The checkpoint verifies' : 'The log continues'}</h2>
      <p>
        ${
          before && checkpoint
            ? `Its ${checkpoint.size.toLocaleString('en')} events begin with the ${before.size.toLocaleString('en')} that this browser saw before.`
            : 'This browser begins to watch: it keeps this checkpoint from now on.'
        }
      </p>
    </section>`;
  }

  #renderBreaks(kept: Kept, { kind }: Verdict): TemplateResult {
    const save = (): void => {
      saveText('log-evidence.json', JSON.stringify({ service: this.#service, ...kept }, undefined, 2));
    };
    return html`<section class="verdict bad">
      <h2>${kind === 'broken' ? 'Evidence' : 'The log did not hold before'}</h2>
      <ul>
        ${kept.breaks!.map(({ time, fault }) => html`<li>${renderTime(time)}: ${fault}</li>`)}
      </ul>
      <p><button @click=${save}>Save the evidence</button></p>
    </section>`;
  }

  #acceptKeys(shown: Shown): void {
    this.#confirmation.ask({
      title: 'Accept the keys?',
      consequences: [
        'From now on this browser demands the signatures of these keys.',
        'Accept them only if whoever runs the service has named them to you by another way.',
      ],
      action: 'Accept the keys',
      run: () => {
        writeKept(this.#service, remember(readKept(this.#service), shown, new Date()));
        toast('The browser keeps the new keys.');
        this.#judged.reload();
        return Promise.resolve();
      },
    });
  }

  readonly #forget = (): void => {
    this.#confirmation.ask({
      title: 'Forget the checkpoint?',
      consequences: [
        'The browser forgets what it has seen of this log, and the evidence. Save the evidence first.',
        'It begins anew with what the service shows now, and cannot say that this continues what was before.',
      ],
      action: 'Forget',
      isFinal: true,
      run: () => {
        forgetKept(this.#service);
        toast('The checkpoint is forgotten.');
        this.#judged.reload();
        return Promise.resolve();
      },
    });
  };
}

/** What the browser keeps from now on. */
function keep(before: Kept | undefined, shown: Shown, { kind, fault }: Verdict): Kept | undefined {
  if (kind === 'begins' || kind === 'continues') return remember(before, shown, new Date());
  return before && fault !== undefined ? recordBreak(before, shown, fault, new Date()) : before;
}

function localStorageHas(service: string): boolean {
  try {
    return readKept(service) !== undefined;
  } catch {
    return true;
  }
}

function renderNames(title: string, names: readonly string[]): TemplateResult | typeof nothing {
  if (names.length === 0) return nothing;
  return html`<p>${title}:</p>
    <ul>
      ${names.map((name) => html`<li><code>${name}</code></li>`)}
    </ul>`;
}

export function renderCheckpoint(title: string, { origin, size, root, time, keys }: SignedCheckpoint): TemplateResult {
  return html`<h2>${title}</h2>
    <dl class="facts">
      <dt>Log</dt>
      <dd>${origin}</dd>
      <dt>Events</dt>
      <dd>${size.toLocaleString('en')}</dd>
      <dt>Root</dt>
      <dd><code>${root.toString('base64')}</code></dd>
      <dt>Signed</dt>
      <dd>${time ? renderTime(time) : 'without a time'}</dd>
      <dt>By</dt>
      <dd>${keys.map((key) => html`<div><code>${nameKey(key)}</code></div>`)}</dd>
    </dl>`;
}
