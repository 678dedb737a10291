import { html, nothing, type TemplateResult } from '../parts/html.js';

/** An RFC 9457 problem, of the service or of the console. */
export interface ProblemBody {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail?: string;
  /** The id of the request. */
  readonly instance?: string;
  readonly reason?: string;
  readonly advice?: string;
  readonly invalid?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** The answer to a call that did not succeed. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly body: ProblemBody;
  /** Seconds after which the service wants to be asked again. */
  readonly retryAfter: number | undefined;

  constructor(body: ProblemBody, retryAfter?: number) {
    super(body.title);
    [this.body, this.retryAfter] = [body, retryAfter];
  }

  /** The last part of the type, such as `unavailable`. */
  get slug(): string {
    return this.body.type.split(':').at(-1) ?? '';
  }
}

/** What a person can do, for the problems that do not say it. */
const NEXT_STEPS: Readonly<Record<string, string>> = {
  'request-malformed': 'Correct what is named here.',
  'caller-unidentified': 'Start the console with a certificate that is valid now.',
  'permission-denied': 'Ask whoever keeps the access policy for the permission.',
  'relying-party-denied': 'Ask whoever keeps the access policy to grant this relying party.',
  'rate-limited': 'Wait, and try again.',
  unavailable: 'Try again. If it stays so, see the readiness of the service.',
  'credential-state': 'Somebody was faster. Close this, and look at the passkey again.',
  'credential-unknown': 'It was erased, or its record fails its integrity check. Read the passkeys again.',
  'relying-party-conflict': 'Nothing of yours is stored. Close this, and see what somebody else has changed.',
  'relying-party-unknown': 'Check the RP ID, or choose one of the relying parties.',
  'event-unknown': 'Check the id. An archived event is in the files of the archive.',
};

/** @param retry what the button does; without it there is no button */
export function renderProblem(error: unknown, retry?: () => void): TemplateResult {
  if (!(error instanceof Problem)) return renderFailure(error, retry);
  const { title, detail, advice, reason, instance, status, invalid = [] } = error.body;
  const step = advice ?? NEXT_STEPS[error.slug];
  return html`<section class="problem" role="alert">
    <h2>${title}</h2>
    ${detail === undefined ? nothing : html`<p>${detail}</p>`}
    ${
      invalid.length === 0
        ? nothing
        : html`<ul>
            ${invalid.map(({ pointer, detail }) => html`<li><code>${pointer}</code> ${detail}</li>`)}
          </ul>`
    }
    ${step === undefined ? nothing : html`<p>${step}</p>`}
    ${error.retryAfter === undefined ? nothing : html`<p>Asks for ${error.retryAfter} s of patience.</p>`}
    <p class="faint">
      ${[status === 0 ? '' : String(status), error.slug, reason].filter(Boolean).join(' · ')}
      ${instance === undefined ? nothing : html` · request <code>${instance}</code>`}
    </p>
    ${retry && !SAME_AGAIN.has(status) ? html`<button @click=${retry}>Try again</button>` : nothing}
  </section>`;
}

/** The answers that the same request would get again. */
const SAME_AGAIN: ReadonlySet<number> = new Set([400, 409, 413, 422]);

function renderFailure(error: unknown, retry?: () => void): TemplateResult {
  return html`<section class="problem" role="alert">
    <h2>The page failed</h2>
    <p>${error instanceof Error ? error.message : String(error)}</p>
    ${retry ? html`<button @click=${retry}>Try again</button>` : nothing}
  </section>`;
}
