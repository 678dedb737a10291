import { describe, expect, it } from '@jest/globals';
import { NoLongerWelcome, whileWelcome } from './while-welcome.js';

async function* parts(read: number[]): AsyncGenerator<number> {
  for (let part = 1; part <= 5; part += 1) {
    read.push(part);
    yield await Promise.resolve(part);
  }
}

async function taken(welcomeUntil: number): Promise<{ received: number[]; read: number[]; error: unknown }> {
  const [received, read]: [number[], number[]] = [[], []];
  let asked = 0;
  const welcome = (): Promise<boolean> => Promise.resolve((asked += 1) <= welcomeUntil);
  try {
    for await (const part of whileWelcome(parts(read), welcome)) received.push(part);
  } catch (error) {
    return { received, read, error };
  }
  return { received, read, error: undefined };
}

describe('a long answer', () => {
  it('goes out whole to a caller that stays welcome', async () => {
    expect(await taken(5)).toMatchObject({ received: [1, 2, 3, 4, 5], error: undefined });
  });

  it.each([0, 1, 4])('ends after %i parts with the caller’s welcome, and reads on no further', async (welcomeUntil) => {
    const { received, read, error } = await taken(welcomeUntil);
    expect(received).toHaveLength(welcomeUntil);
    expect(read).toHaveLength(welcomeUntil + 1);
    expect(error).toBeInstanceOf(NoLongerWelcome);
  });
});
