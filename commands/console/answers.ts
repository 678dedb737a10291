import type { ServerResponse } from 'node:http';

/** The page runs its own scripts alone, calls its own server alone, and stands in no frame. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types lit-html',
].join('; ');

/** The headers of every answer, whatever it holds. */
export const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'permissions-policy':
    'camera=(), geolocation=(), microphone=(), publickey-credentials-get=(), publickey-credentials-create=()',
  'cache-control': 'no-store',
};

/** A refusal of the console itself. The page shows it like a problem of the service. */
export interface ConsoleProblem {
  readonly status: number;
  /** After `urn:passkey-manager:console:`. */
  readonly slug: string;
  readonly title: string;
  /** What to do next. */
  readonly detail: string;
}

export function answerProblem(response: ServerResponse, { status, slug, title, detail }: ConsoleProblem): void {
  const body = JSON.stringify({ type: `urn:passkey-manager:console:${slug}`, title, status, detail });
  response.writeHead(status, { ...HEADERS, 'content-type': 'application/problem+json; charset=utf-8' }).end(body);
}

export function answerJson(response: ServerResponse, body: object): void {
  response.writeHead(200, { ...HEADERS, 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
}

/** Answers a person who has no page yet. @param paragraphs texts of the console, without anything from outside */
export function answerPage(response: ServerResponse, status: number, title: string, ...paragraphs: string[]): void {
  const body = paragraphs.map((text) => `<p>${text}</p>`).join('');
  response
    .writeHead(status, { ...HEADERS, 'content-type': 'text/html; charset=utf-8' })
    .end(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><main><h1>${title}</h1>${body}</main></html>`,
    );
}
