/** A caller that was welcome when its request came and no longer is. */
export class NoLongerWelcome extends Error {}

/**
 * An answer that takes long is verified like any number of requests: before each part that goes out, and what follows a
 * refusal never does.
 *
 * @throws NoLongerWelcome
 */
export async function* whileWelcome<Part>(
  parts: AsyncIterable<Part>,
  isWelcome: () => Promise<boolean>,
): AsyncGenerator<Part> {
  for await (const part of parts) {
    if (!(await isWelcome())) throw new NoLongerWelcome('the caller is no longer welcome');
    yield part;
  }
}
