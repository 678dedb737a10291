import type { AnchorTarget } from './anchor.js';

/** Posts notes to a URL. A status from 200 to 299 says that the receiver has stored the note. */
export class AnchorUrl implements AnchorTarget {
  readonly name = 'url';

  constructor(private readonly url: string) {}

  async deliver(note: string, signal: AbortSignal): Promise<void> {
    const answer = await fetch(this.url, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body: note,
      redirect: 'error',
      signal,
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`the receiver answered ${String(answer.status)}`);
  }
}
