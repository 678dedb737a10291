import { html, nothing, type TemplateResult } from '../parts/html.js';
import { diagnose, type Diagnosis } from '../explain/sign-in-diagnosis.js';
import { Confirmation } from '../parts/confirmation.js';
import { type Loading, load, renderEmpty, renderLoading } from '../parts/loading.js';
import { linkTo } from '../shell/router.js';
import type { OpenView, Page, View } from '../shell/view.js';
import { renderDiagnosis } from './diagnosis.js';
import { type Act, askRevokeAll, askStatus } from './passkey-actions.js';
import { renderPasskey } from './passkey.js';
import { type Evidence, readEvidence, readUser, type User } from './user-reader.js';

export const USER: View = {
  path: 'users/{rpId}/{userId}',
  title: 'User',
  needs: ['passkeys:read'],
  open: (page) => new UserView(page),
};

/** The passkeys of one user, and what an operator may do about them. */
class UserView implements OpenView {
  readonly #page: Page;
  readonly #user: Loading<User>;
  readonly #confirmation: Confirmation;
  #evidence: Loading<Evidence> | undefined;

  constructor(page: Page) {
    this.#page = page;
    this.#user = load(page, (signal) => readUser(page.caller, this.#names.rpId, this.#names.userId, signal));
    this.#confirmation = new Confirmation(page.update);
  }

  get #names(): { rpId: string; userId: string } {
    const { rpId = '', userId = '' } = this.#page.parameters;
    return { rpId, userId };
  }

  get #mayManage(): boolean {
    return this.#page.caller.permissions.has('passkeys:manage');
  }

  render(): TemplateResult {
    const { rpId, userId } = this.#names;
    return html`
      <p><a href=${linkTo(['users'])}>Users</a></p>
      <h1 tabindex="-1">User <code class="name">${userId}</code></h1>
      <p>At the relying party ${this.#linkParty(rpId)}.</p>
      ${renderLoading(this.#user, (user) => this.#renderUser(user))} ${this.#confirmation.render()}
    `;
  }

  #linkParty(rpId: string): TemplateResult {
    return this.#page.caller.permissions.has('relying-parties:read')
      ? html`<a href=${linkTo(['relying-parties', rpId])}>${rpId}</a>`
      : html`<strong>${rpId}</strong>`;
  }

  #renderUser(user: User): TemplateResult {
    const { passkeys } = user;
    const diagnosis = this.#diagnose(user);
    const left = passkeys.filter(({ status }) => status !== 'revoked');
    return html`
      ${this.#renderBox(user, diagnosis)}
      <h2>Passkeys (${passkeys.length})</h2>
      ${this.#mayManage || passkeys.length === 0 ? nothing : renderLacking()}
      ${
        passkeys.length === 0
          ? renderEmpty('The user has no passkey here.', 'Check the user id and the relying party.')
          : html`<ul class="cards">
              ${diagnosis.judgements.map(
                (judgement) =>
                  html`<li class="card">
                    ${renderPasskey(judgement)} ${this.#mayManage ? this.#renderActions(judgement.passkey) : nothing}
                  </li>`,
              )}
            </ul>`
      }
      ${
        this.#mayManage && left.length > 0
          ? html`<p class="actions">
              <button
                class="danger"
                @click=${() => {
                  this.#revokeAll(left.length);
                }}
              >
                Revoke all passkeys of the user
              </button>
            </p>`
          : nothing
      }
    `;
  }

  #diagnose({ passkeys, party }: User): Diagnosis {
    const { verdicts, refusals } = this.#evidence?.value ?? {};
    return diagnose({ now: new Date(), passkeys, party, verdicts, refusals });
  }

  #renderBox(user: User, diagnosis: Diagnosis): TemplateResult {
    const { caller } = this.#page;
    const find = (): void => {
      this.#evidence = load(this.#page, (signal) => readEvidence(caller, user, this.#names, signal));
    };
    return html`<section class="box" aria-labelledby="why">
      <h2 id="why">Why can this user not sign in?</h2>
      ${
        this.#evidence
          ? renderLoading(this.#evidence, ({ refusals }) => renderDiagnosis(diagnosis, refusals, caller))
          : html`<p>
                Judges each passkey by its state and the
                policy${
                  caller.permissions.has('audit:read')
                    ? ', and reads the user’s last refusals. The audit log records that you looked'
                    : ''
                }.
              </p>
              <button class="primary" @click=${find}>Find out</button>`
      }
    </section>`;
  }

  #renderActions({ id, name, status }: User['passkeys'][number]): TemplateResult {
    const ask = (act: Act): void => {
      this.#confirmation.ask(askStatus(act, { id, name }, this.#user.reload));
    };
    const button = (act: Act, label: string, kind = ''): TemplateResult =>
      html`<button
        class=${kind}
        @click=${() => {
          ask(act);
        }}
        aria-label=${`${label} ${name}`}
      >
        ${label}
      </button>`;
    if (status === 'revoked') return html``;
    return html`<div class="actions">
      ${status === 'active' ? button('suspend', 'Suspend') : button('reinstate', 'Reinstate')}
      ${button('revoke', 'Revoke', 'danger')}
    </div>`;
  }

  #revokeAll(count: number): void {
    this.#confirmation.ask(askRevokeAll(this.#names, count, this.#user.reload));
  }
}

function renderLacking(): TemplateResult {
  return html`<p class="faint lacking">
    You can look, and change nothing: <code>passkeys:manage</code> would let you suspend, reinstate and revoke.
  </p>`;
}
