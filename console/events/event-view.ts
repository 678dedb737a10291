import { html, nothing, type TemplateResult } from '../parts/html.js';
import { type Loading, load, renderLoading } from '../parts/loading.js';
import { saveText } from '../parts/save.js';
import { renderTime } from '../parts/time.js';
import { readText } from '../shell/api.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { OUTCOMES } from './explorer.js';
import { type LoggedEvent, readLoggedEvent } from './logged-event.js';
import { type Proof, proveEvent } from './proof.js';
import { describeEvent } from './words.js';

export const EVENT: View = {
  path: 'events/{id}',
  title: 'Event',
  needs: ['audit:read'],
  open: (page) => new EventView(page),
};

/** One event: in words, with its proof, and as it was logged. */
class EventView implements OpenView {
  readonly #id: string;
  readonly #text: Loading<string>;
  readonly #proof: Loading<Proof>;

  constructor(page: Page) {
    const id = page.parameters['id']!;
    this.#id = id;
    const read = (signal: AbortSignal): Promise<string> =>
      readText('/v1/audit/events/{id}', { path: { id } }, { signal });
    this.#text = load(page, read);
    // The proof is of what the page shows, so it takes the same answer, and reads no event twice into the log.
    this.#proof = load(page, async (signal) => proveEvent(id, await this.#text.done, page.caller.service, signal));
  }

  render(): TemplateResult {
    return html`
      <h1 tabindex="-1">Event</h1>
      ${renderLoading(this.#text, (text) => {
        const event = JSON.parse(text) as unknown;
        return html`${renderEvent(readLoggedEvent(event))} ${renderLoading(this.#proof, (proof) => renderProof(proof))}
          <h2>As JSON</h2>
          <pre tabindex="0" aria-label="The event as JSON">${JSON.stringify(event, undefined, 2)}</pre>
          <p>
            <button
              @click=${() => {
                saveText(`event-${this.#id}.json`, text);
              }}
            >
              Save the event
            </button>
          </p>`;
      })}
    `;
  }
}

function renderEvent(event: LoggedEvent): TemplateResult {
  const { time, type, outcome, reason, detail, actor, address, userId, rpId, credential, sequence, requestId } = event;
  return html`<p class="sentence">${describeEvent(event)}</p>
    <dl class="facts">
      ${renderFact('Time', renderTime(time))}
      ${renderFact('Outcome', html`<span class="badge ${outcome}">${OUTCOMES[outcome]}</span> ${reason}`)}
      ${renderFact('Detail', detail)} ${renderFact('Type', link({ type }, type))}
      ${renderFact('Actor', actor.startsWith('spiffe:') ? link({ actor }, actor) : actor)}
      ${renderFact('From', address)} ${renderFact('User', userId && link({ userId }, userId))}
      ${renderFact('Relying party', rpId)}
      ${renderFact('Credential', credential && link({ credentialId: credential }, credential))}
      ${renderFact('Request', requestId)}
      ${renderFact('Place in the log', sequence === undefined ? 'none yet' : sequence.toLocaleString('en'))}
    </dl>`;
}

function renderFact(name: string, value: TemplateResult | string): TemplateResult | typeof nothing {
  return value === ''
    ? nothing
    : html`<dt>${name}</dt>
        <dd>${value}</dd>`;
}

/** Leads to the events that have this in common. */
function link(query: Readonly<Record<string, string>>, text: string): TemplateResult {
  return html`<a href=${linkTo(['events'], query)}>${text}</a>`;
}

function renderProof({ kind, fault, proved, steps, keptSize }: Proof): TemplateResult {
  if (kind === 'waits')
    return html`<section class="verdict warn" role="status">
      <h2>The event waits for its place in the log</h2>
      <p>That takes about a second. If it stays so, the log does not move: ask the operator of the service.</p>
    </section>`;
  if (kind === 'fails')
    return html`<section class="verdict bad" role="alert">
      <h2>The event does not verify</h2>
      <p><strong>${fault}</strong></p>
      <p>
        What this page shows is not what the log holds. Save the event, and give it to whoever investigates. The
        operator finds the next steps in the runbook, under “The audit log fails”.
      </p>
    </section>`;
  const { leafIndex, checkpoint } = proved!;
  const size = checkpoint.size.toLocaleString('en');
  return html`<section class="verdict good" role="status">
    <h2>The event is in the log</h2>
    <p>This page has verified it, with what it shows above:</p>
    <ul>
      <li>The hash of the event is leaf ${leafIndex.toLocaleString('en')} of the log.</li>
      <li>${steps} hashes lead from it to the root of ${size} events.</li>
      <li>
        ${checkpoint.keys.map(({ algorithm, keyId }) => `${algorithm} ${keyId}`).join(' and ')} signed this root
        ${checkpoint.time ? html`at ${renderTime(checkpoint.time)}` : nothing}.
      </li>
      <li>
        ${
          keptSize === undefined
            ? html`This browser does not watch the log yet: <a href="#/log">begin</a>.`
            : html`The log continues the ${keptSize.toLocaleString('en')} events that
                <a href="#/log">this browser saw</a>.`
        }
      </li>
    </ul>
  </section>`;
}
