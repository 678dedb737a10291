import { explainRefusal } from '../explain/refusals.js';
import { renderKeySource } from '../log/key-source.js';
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
  readonly #service: string;
  readonly #text: Loading<string>;
  readonly #proof: Loading<Proof>;

  constructor(page: Page) {
    const id = page.parameters['id']!;
    this.#id = id;
    this.#service = page.caller.service;
    const read = (signal: AbortSignal): Promise<string> =>
      readText('/v1/audit/events/{id}', { path: { id } }, { signal });
    this.#text = load(page, read);
    // The proof is of what the page shows, so it takes the same answer, and reads no event twice into the log.
    this.#proof = load(page, async (signal) => proveEvent(id, await this.#text.done, this.#service, signal));
  }

  render(): TemplateResult {
    return html`
      <h1 tabindex="-1">Event</h1>
      ${renderLoading(this.#text, (text) => {
        const event = JSON.parse(text) as unknown;
        return html`${renderEvent(readLoggedEvent(event))}
          ${renderLoading(this.#proof, (proof) => this.#renderProof(proof))}
          <h2>As JSON</h2>
          <pre tabindex="0" aria-label="The event as JSON">${JSON.stringify(event, undefined, 2)}</pre>
          ${this.#renderPapers(text)}`;
      })}
    `;
  }

  /** The files that `audit:verify` takes, also of an event that does not verify. */
  #renderPapers(event: string): TemplateResult {
    const { proof, keys } = this.#proof.value?.papers ?? {};
    const [eventFile, proofFile, keyFile] = [`event-${this.#id}.json`, `event-${this.#id}-proof.json`, 'audit.pub'];
    const button = (label: string, name: string, text: string): TemplateResult =>
      html`<button
        @click=${() => {
          saveText(name, text, name.endsWith('.pub') ? 'text/plain' : undefined);
        }}
      >
        ${label}
      </button>`;
    return html`<p class="actions">
        ${button('Save the event', eventFile, event)}
        ${proof === undefined ? nothing : button('Save the proof', proofFile, proof)}
        ${keys === undefined ? nothing : button('Save the keys', keyFile, keys)}
      </p>
      ${
        proof === undefined
          ? nothing
          : html`<p>
              To verify it elsewhere, save the three files and run
              <code>npm run audit:verify -- ${eventFile} --proof ${proofFile} --key ${keyFile}</code>. The proof has the
              signed checkpoint. Take the keys from the operator, if you have them from there.
            </p>`
      }`;
  }

  #renderProof(proof: Proof): TemplateResult {
    return renderProof(proof, this.#service);
  }
}

function renderEvent(event: LoggedEvent): TemplateResult {
  const { time, type, outcome, reason, detail, actor, address, userId, rpId, credential, sequence, requestId } = event;
  const meaning = explainRefusal(reason)?.meaning ?? '';
  return html`<p class="sentence">${describeEvent(event)}</p>
    <dl class="facts">
      ${renderFact('Time', renderTime(time))}
      ${renderFact('Outcome', html`<span class="badge ${outcome}">${OUTCOMES[outcome]}</span> ${reason}`)}
      ${renderFact('Reason', event.why)} ${renderFact('Refused because', meaning)} ${renderFact('Detail', detail)}
      ${renderFact('Type', link({ type }, type))}
      ${renderFact('Actor', actor.startsWith('spiffe:') ? link({ actor }, actor) : actor)}
      ${renderFact('From', address)} ${renderFact('User', userId && renderUser(event))}
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

/** The proof covers the pseudonym alone, so this says so beside the user id. */
function renderUser({ userId, pseudonym }: LoggedEvent): TemplateResult {
  return html`${link({ userId }, userId)}
  ${
    pseudonym === ''
      ? nothing
      : html`<div class="faint">
          The log has the pseudonym <code>${pseudonym}</code>; which user it stands for, the service says.
        </div>`
  }`;
}

/** Leads to the events that have this in common. */
function link(query: Readonly<Record<string, string>>, text: string): TemplateResult {
  return html`<a href=${linkTo(['events'], query)}>${text}</a>`;
}

function renderProof({ kind, fault, proved, steps, keptSize, papers }: Proof, service: string): TemplateResult {
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
        What this page shows is not what the log holds. Save the event, the proof and the keys, and give them to whoever
        investigates. The operator finds the next steps in the runbook, under “The audit log fails”.
      </p>
    </section>`;
  const { leafIndex, pseudonym, checkpoint } = proved!;
  const size = checkpoint.size.toLocaleString('en');
  return html`<section class="verdict good" role="status">
    <h2>This event was not altered since it was logged</h2>
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
            ? nothing
            : html`The log continues the ${keptSize.toLocaleString('en')} events that this browser saw.`
        }
        ${renderKeySource(service, papers!.keys)}
      </li>
      ${
        pseudonym === undefined
          ? nothing
          : html`<li>
              The proof covers the pseudonym <code>${pseudonym}</code>. It does not cover which user that is: the
              service says it.
            </li>`
      }
    </ul>
  </section>`;
}
