import { html, nothing, type TemplateResult } from './html.js';
import { ref } from 'lit-html/directives/ref.js';
import { readField } from './fields.js';
import { clearToasts } from './toast.js';
import { Problem, renderProblem } from '../shell/problem.js';

/** What somebody is about to do. */
export interface Question {
  readonly title: string;
  /** What will happen, in sentences. */
  readonly consequences: readonly string[];
  /** The words of the button. */
  readonly action: string;
  readonly isFinal?: boolean;
  /** True if it takes something away from somebody. What is final does. */
  readonly isDangerous?: boolean;
  /** True if the service records a reason. */
  readonly asksReason?: boolean;
  /** Does it. The dialog stays open with the problem if it fails. */
  readonly run: (reason: string) => Promise<void>;
}

/** A dialog that says what will happen before it happens. */
export class Confirmation {
  readonly #update: () => void;
  #question: Question | undefined;
  #error: unknown;
  #isRunning = false;
  #dialog: HTMLDialogElement | undefined;

  constructor(update: () => void) {
    this.#update = update;
  }

  ask(question: Question): void {
    // The last message would be read as one about this question.
    clearToasts();
    [this.#question, this.#error, this.#isRunning] = [question, undefined, false];
    this.#update();
  }

  render(): TemplateResult | typeof nothing {
    if (!this.#question) return nothing;
    const { title, consequences, action, isFinal = false, asksReason = false } = this.#question;
    const isDanger = isFinal || this.#question.isDangerous === true;
    // It can never succeed any more: what it was about has changed.
    const isOver = this.#error instanceof Problem && this.#error.body.status === 409;
    return html`<dialog aria-labelledby="confirmation-title" @close=${this.#close} ${ref(this.#show)}>
      <form @submit=${this.#run}>
        <h2 id="confirmation-title">${title}</h2>
        <ul>
          ${consequences.map((consequence) => html`<li>${consequence}</li>`)}
        </ul>
        ${isFinal ? html`<p><strong>Nothing undoes this.</strong></p>` : nothing}
        ${
          asksReason
            ? html`<label>
                Reason, for the audit log
                <input name="reason" required maxlength="256" autocomplete="off" autofocus />
              </label>`
            : nothing
        }
        ${this.#error === undefined ? nothing : renderProblem(this.#error)}
        <div class="actions">
          <button type="button" @click=${this.#cancel}>${isOver ? 'Close this' : 'Cancel'}</button>
          ${
            isOver
              ? nothing
              : html`<button class=${isDanger ? 'danger' : 'primary'} ?disabled=${this.#isRunning}>${action}</button>`
          }
        </div>
      </form>
    </dialog>`;
  }

  readonly #show = (element: Element | undefined): void => {
    this.#dialog = element as HTMLDialogElement | undefined;
    // It gets here before it is in the document.
    queueMicrotask(() => {
      if (this.#dialog?.isConnected && !this.#dialog.open) this.#dialog.showModal();
    });
  };

  readonly #cancel = (): void => {
    this.#dialog?.close();
  };

  readonly #close = (): void => {
    this.#question = undefined;
    this.#update();
  };

  readonly #run = (event: SubmitEvent): void => {
    event.preventDefault();
    const reason = readField(event.currentTarget as HTMLFormElement, 'reason');
    const question = this.#question;
    if (!question || this.#isRunning) return;
    [this.#isRunning, this.#error] = [true, undefined];
    this.#update();
    question
      .run(reason)
      .then(
        () => this.#dialog?.close(),
        (error: unknown) => {
          this.#error = error;
        },
      )
      .finally(() => {
        this.#isRunning = false;
        this.#update();
      });
  };
}
