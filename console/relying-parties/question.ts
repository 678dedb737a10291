import { findSetting } from '../explain/party-settings.js';
import { type CompleteSettings, type Difference, listDifferences } from '../explain/setting-differences.js';
import { html, nothing, type TemplateResult } from '../parts/html.js';
import { type Loading, load, renderLoading } from '../parts/loading.js';
import { call, type Schemas } from '../shell/api.js';
import type { Page } from '../shell/view.js';
import { renderDifferences, renderDryRun, renderWarnings } from './change-review.js';
import { toBody, writeMember } from './draft.js';
import { type Change, SCENARIOS, type Scenario } from './scenarios.js';

type DryRun = Schemas['RelyingPartyDryRun'];

/** What the questions are about. */
export interface Asked {
  readonly party: Schemas['RelyingParty'];
  readonly stored: CompleteSettings;
  /** How many passkeys are active, if that is known. */
  readonly active: number | undefined;
  /** Makes the changes of the question to the reader's own draft. */
  readonly take: (changes: readonly Change[]) => void;
}

interface Answers {
  readonly whole: DryRun;
  /** The answer without what the question adds of itself. */
  readonly alone: DryRun | undefined;
}

interface Open {
  readonly scenario: Scenario;
  readonly wanted: CompleteSettings;
  readonly answers: Loading<Answers>;
}

/** “What would happen if …”: asks the service about what is stored, and leaves the reader's own draft alone. */
export class Questions {
  readonly #page: Page;
  #open: Open | undefined;

  constructor(page: Page) {
    this.#page = page;
  }

  close(): void {
    this.#open = undefined;
    this.#page.update();
  }

  render(asked: Asked): TemplateResult {
    return html`<section class="box" aria-labelledby="scenarios">
      <h2 id="scenarios">What would happen if …</h2>
      <p>
        Answers whom a change of what is stored would refuse. Nothing is stored, and your own change stays as it is.
      </p>
      <div class="actions">
        ${SCENARIOS.map(
          (scenario) =>
            html`<button
              aria-pressed=${String(this.#open?.scenario === scenario)}
              @click=${() => {
                this.#ask(scenario, asked);
              }}
            >
              … ${scenario.question}?
            </button>`,
        )}
      </div>
      ${this.#open ? this.#renderAnswer(this.#open, asked) : nothing}
    </section>`;
  }

  #ask(scenario: Scenario, { party, stored }: Asked): void {
    const alone = apply(stored, scenario.changes);
    const wanted = apply(alone, scenario.also?.changes ?? []);
    const adds = listDifferences(alone, wanted).length > 0;
    const answers = load(this.#page, async (signal) => {
      const [whole, without] = await Promise.all([
        tryOut(party, wanted, signal),
        adds ? tryOut(party, alone, signal) : undefined,
      ]);
      return { whole, alone: without };
    });
    this.#open = { scenario, wanted, answers };
    requestAnimationFrame(() => document.querySelector('#answer')?.scrollIntoView({ block: 'nearest' }));
  }

  #renderAnswer({ scenario, wanted, answers }: Open, { stored, active, take }: Asked): TemplateResult {
    const { question, changes, also } = scenario;
    const differences = listDifferences(stored, wanted);
    const breaks = differences.flatMap(nameBreaks);
    return html`<section id="answer" aria-labelledby="asked">
      <h3 id="asked">If ${question}</h3>
      ${also ? html`<p>${also.why}</p>` : nothing}
      ${
        differences.length === 0
          ? html`<p>That is so already: nothing would change.</p>`
          : renderDifferences(differences, 'What the question changes')
      }
      ${renderLoading(
        answers,
        ({ whole, alone }) => html`
          ${renderDryRun(whole, active)}
          ${alone && alone.warnings.length > 0 ? renderWarnings(html`<h3>Without what the question adds</h3>`, alone.warnings) : nothing}
        `,
      )}
      ${
        breaks.length === 0
          ? nothing
          : html`<h3>Who can no longer do what</h3>
              <ul>
                ${breaks.map((each) => html`<li>${each}</li>`)}
              </ul>`
      }
      <div class="actions">
        ${
          differences.length === 0
            ? nothing
            : html`<button
                @click=${() => {
                  this.close();
                  take([...changes, ...(also?.changes ?? [])]);
                }}
              >
                Add it to your change
              </button>`
        }
        <button
          @click=${() => {
            this.close();
          }}
        >
          Close the answer
        </button>
      </div>
    </section>`;
  }
}

/** Makes changes to settings. */
export function apply(settings: CompleteSettings, changes: readonly Change[]): CompleteSettings {
  return changes.reduce((draft, [pointer, value]) => writeMember(draft, pointer, value), settings);
}

function tryOut({ rpId, version }: Asked['party'], wanted: CompleteSettings, signal: AbortSignal): Promise<DryRun> {
  const sent = { path: { rpId }, query: { dryRun: true }, body: toBody(wanted, version) };
  return call('put', '/v1/relying-parties/{rpId}', sent, { signal }) as Promise<DryRun>;
}

/** What the chosen value of a setting breaks, in the words of the form. */
function nameBreaks({ pointer, after }: Difference): string[] {
  const form = findSetting(pointer)?.form;
  const choice = form?.kind === 'choice' ? form.choices.find(({ value }) => value === after) : undefined;
  return choice?.breaks === undefined ? [] : [choice.breaks];
}
