import { html, nothing, type TemplateResult } from '../parts/html.js';
import { type CompleteSettings, listDifferences } from '../explain/setting-differences.js';
import { Confirmation } from '../parts/confirmation.js';
import { type Loading, load, renderLoading } from '../parts/loading.js';
import { renderTime } from '../parts/time.js';
import { toast } from '../parts/toast.js';
import { call, type Schemas } from '../shell/api.js';
import { Problem } from '../shell/problem.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { renderDifferences, renderDryRun, renderWaiting, renderWarnings } from './change-review.js';
import { copySettings, mergeDraft, toBody, writeMember } from './draft.js';
import { findDraft, keepDraft } from './kept-drafts.js';
import { renderMigration } from './migration.js';
import { renderState } from './relying-parties.js';
import { apply, Questions } from './question.js';
import { type Remark, renderSetting } from './setting-field.js';
import { SETTING_GROUPS } from './setting-groups.js';
import { describeStoring } from './store-question.js';
import { renderBar, renderPlaces } from './change-bar.js';

export const RELYING_PARTY: View = {
  path: 'relying-parties/{rpId}',
  title: 'Relying party',
  needs: ['relying-parties:read'],
  open: (page) => new RelyingPartyView(page),
};

interface DryRun {
  /** The draft that it is about. */
  readonly of: CompleteSettings;
  readonly answer: Loading<Schemas['RelyingPartyDryRun']>;
}

/** The settings of a relying party as a form: a draft, what it changes, whom it would refuse, and only then the change. */
class RelyingPartyView implements OpenView {
  readonly #page: Page;
  readonly #stored: Loading<Schemas['RelyingParty']>;
  readonly #active: Loading<number | undefined>;
  /** Absent for a relying party without a successor. */
  #migration: Loading<Schemas['MigrationProgress']> | undefined;
  readonly #confirmation: Confirmation;
  readonly #questions: Questions;
  readonly #remarks = new Map<string, Remark>();
  /** What the draft began with. */
  #party: Schemas['RelyingParty'] | undefined;
  #base: CompleteSettings | undefined;
  #draft: CompleteSettings | undefined;
  #dryRun: DryRun | undefined;
  #waiting: Schemas['Approval'] | undefined;
  /** What somebody else has stored since the draft began. */
  #theirs: Schemas['RelyingParty'] | undefined;

  constructor(page: Page) {
    this.#page = page;
    this.#confirmation = new Confirmation(page.update);
    this.#questions = new Questions(page);
    this.#stored = load(page, async (signal) => {
      const party = await this.#read(signal);
      this.#resume(party);
      const path = { rpId: party.rpId };
      this.#migration =
        party.successor === null
          ? undefined
          : load(page, (until) => call('get', '/v1/relying-parties/{rpId}/migration', { path }, { signal: until }));
      return party;
    });
    this.#active = load(page, (signal) => this.#countActive(signal));
  }

  get #rpId(): string {
    return this.#page.parameters['rpId'] ?? '';
  }

  get #mayWrite(): boolean {
    return this.#page.caller.permissions.has('relying-parties:write');
  }

  #read(signal: AbortSignal): Promise<Schemas['RelyingParty']> {
    return call('get', '/v1/relying-parties/{rpId}', { path: { rpId: this.#rpId } }, { signal });
  }

  /** How many passkeys a dry run is about. */
  async #countActive(signal: AbortSignal): Promise<number | undefined> {
    if (!this.#page.caller.permissions.has('statistics:read')) return undefined;
    const { credentials } = await call('get', '/v1/statistics', { query: { rpId: this.#rpId } }, { signal });
    return credentials?.byStatus.active;
  }

  render(): TemplateResult {
    return html`
      <p><a href=${linkTo(['relying-parties'])}>Relying parties</a></p>
      <h1 tabindex="-1">${this.#rpId}</h1>
      ${renderLoading(this.#stored, () => this.#renderParty(this.#party!))} ${this.#confirmation.render()}
    `;
  }

  #renderParty(party: Schemas['RelyingParty']): TemplateResult {
    const [base, draft] = [this.#base!, this.#draft!];
    const remark = (pointer: string, wrong: Remark): void => {
      this.#remarks.set(pointer, wrong);
      this.#page.update();
    };
    const change = this.#mayWrite
      ? (pointer: string, value: unknown): void => {
          this.#remarks.delete(pointer);
          this.#edit(writeMember(this.#draft!, pointer, value));
        }
      : undefined;
    return html`
      <p>
        ${party.name} ${renderState(party)}
        <span class="faint">version ${party.version}, changed ${renderTime(party.updatedAt)}</span>
      </p>
      ${
        party.warnings.length === 0
          ? nothing
          : html`<section class="verdict warn">
              ${renderWarnings(html`<h2>What browsers and authenticators will not do now</h2>`, party.warnings)}
            </section>`
      }
      ${this.#waiting ? renderWaiting(this.#waiting) : nothing}
      ${this.#migration ? renderLoading(this.#migration, renderMigration) : nothing}
      ${this.#mayWrite ? this.#renderQuestions(party, base) : renderLacking()}
      ${this.#mayWrite ? this.#renderChange(party) : nothing}
      <section aria-label="Settings">
        ${SETTING_GROUPS.map(
          ([title, pointers]) => html`
            <h2>${title}</h2>
            ${pointers.map((pointer) =>
              renderSetting(pointer, { base, draft, change, remark, remarks: this.#remarks }),
            )}
          `,
        )}
      </section>
      ${this.#mayWrite ? renderBar(listDifferences(base, draft).length, this.#drop) : nothing}
    `;
  }

  /** Goes on with the change that the reader left, if there is one. */
  #resume(party: Schemas['RelyingParty']): void {
    const kept = findDraft(party.rpId);
    if (!kept) {
      this.#begin(party);
      return;
    }
    [this.#party, this.#base, this.#draft] = [kept.party, kept.base, kept.draft];
    this.#theirs = party.version === kept.party.version ? undefined : party;
  }

  #begin(party: Schemas['RelyingParty']): void {
    this.#party = party;
    this.#base = copySettings(party);
    this.#draft = this.#base;
  }

  #edit(draft: CompleteSettings): void {
    this.#draft = draft;
    keepDraft({ party: this.#party!, base: this.#base!, draft });
    this.#page.update();
  }

  #renderQuestions(party: Schemas['RelyingParty'], stored: CompleteSettings): TemplateResult {
    return this.#questions.render({
      party,
      stored,
      active: this.#active.value,
      take: (changes) => {
        this.#edit(apply(this.#draft!, changes));
      },
    });
  }

  #renderChange(party: Schemas['RelyingParty']): TemplateResult {
    const differences = listDifferences(this.#base!, this.#draft!);
    const isTried = this.#dryRun?.of === this.#draft && this.#dryRun?.answer.value !== undefined;
    if (differences.length === 0)
      return html`<p id="change" class="faint">
        Open a setting below to change it. Nothing is stored before you have seen whom it refuses.
      </p>`;
    return html`<section id="change" class="box" aria-labelledby="changes">
      <h2 id="changes">Your change</h2>
      ${renderDifferences(differences, 'What it changes')}
      ${this.#theirs ? this.#renderConflict(this.#theirs) : nothing}
      <div class="actions">
        <button class=${isTried ? '' : 'primary'} ?disabled=${this.#remarks.size > 0} @click=${this.#try}>
          Whom would this refuse?
        </button>
        ${
          isTried && this.#remarks.size === 0
            ? html`<button
                class="primary"
                @click=${() => {
                  this.#askToPut(party);
                }}
              >
                Store the change …
              </button>`
            : html`<span class="faint">
                ${this.#remarks.size > 0 ? 'First correct the field below that has a remark.' : 'First see whom it refuses, then store it.'}
              </span>`
        }
        <button @click=${this.#drop}>Drop the change</button>
      </div>
      ${
        this.#dryRun?.of === this.#draft
          ? html`${renderLoading(this.#dryRun!.answer, (answer) => renderDryRun(answer, this.#active.value))}
            ${renderPlaces(this.#dryRun!.answer.error)}`
          : nothing
      }
    </section>`;
  }

  readonly #try = (): void => {
    const [of, rpId] = [this.#draft!, this.#rpId];
    const answer = load(this.#page, async (signal) => {
      const sent = { path: { rpId }, query: { dryRun: true }, body: toBody(of, this.#party!.version) };
      return (await call('put', '/v1/relying-parties/{rpId}', sent, { signal }).catch((error: unknown) =>
        this.#noticeConflict(error),
      )) as Schemas['RelyingPartyDryRun'];
    });
    this.#dryRun = { of, answer };
  };

  readonly #drop = (): void => {
    [this.#theirs, this.#dryRun] = [undefined, undefined];
    this.#remarks.clear();
    this.#edit(this.#base!);
  };

  /** Reads what somebody else has stored meanwhile. @throws the error */
  async #noticeConflict(error: unknown): Promise<never> {
    if (error instanceof Problem && error.slug === 'relying-party-conflict') {
      this.#theirs = await this.#read(this.#page.signal);
      this.#page.update();
    }
    throw error;
  }

  #renderConflict(theirs: Schemas['RelyingParty']): TemplateResult {
    const changed = listDifferences(this.#base!, copySettings(theirs));
    const take = (): void => {
      const merged = mergeDraft(this.#base!, this.#draft!, theirs);
      this.#theirs = undefined;
      this.#begin(theirs);
      this.#edit(merged);
    };
    return html`<section class="verdict warn" role="alert">
      <h2>Somebody else has changed the relying party meanwhile</h2>
      <p>It has version ${theirs.version} now. Nothing of yours is stored.</p>
      ${
        changed.length === 0
          ? html`<p>The settings are the same as before.</p>`
          : renderDifferences(changed, 'What they have changed')
      }
      <button class="primary" @click=${take}>Take their changes over, and keep mine</button>
    </section>`;
  }

  #askToPut(party: Schemas['RelyingParty']): void {
    const draft = this.#draft!;
    this.#confirmation.ask({
      ...describeStoring({
        rpId: party.rpId,
        differences: listDifferences(this.#base!, draft),
        dryRun: this.#dryRun?.answer.value,
        active: this.#active.value,
        needsApproval: this.#page.caller.grant.approvalNeeded.includes('relying-parties:write'),
      }),
      run: () => this.#put(draft, party.version),
    });
  }

  async #put(draft: CompleteSettings, version: number): Promise<void> {
    const sent = { path: { rpId: this.#rpId }, body: toBody(draft, version) };
    const answer = await call('put', '/v1/relying-parties/{rpId}', sent).catch((error: unknown) =>
      this.#noticeConflict(error),
    );
    this.#waiting = 'requestedBy' in answer ? answer : undefined;
    toast(this.#waiting ? 'The change waits for a second identity.' : 'The change is stored.');
    this.#dryRun = undefined;
    this.#edit(this.#base!);
    this.#stored.reload();
    this.#active.reload();
  }
}

function renderLacking(): TemplateResult {
  return html`<p class="faint lacking">
    You can look, and change nothing: <code>relying-parties:write</code> would let you try changes and store them.
  </p>`;
}
