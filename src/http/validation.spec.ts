import { describe, expect, it } from '@jest/globals';
import { ArrayMinSize, ArrayUnique, IsArray, IsInt, IsString, Max, MaxLength, Min } from 'class-validator';
import { globSync, readFileSync } from 'node:fs';
import type { Problem } from './problem.js';
import { HasForm, IsText, Optional } from './validators.js';
import { BrowserWritten, Nested } from './request-class.js';
import { createValidationPipe } from './validation.js';

class Leaf {
  @IsText(1, 4)
  'a~b/c': string;
}

abstract class Wood {
  @Optional()
  @Nested(() => Leaf)
  leaf?: Leaf;
}

class Branch extends Wood {
  @IsInt()
  count: number;
}

@BrowserWritten()
class Nest extends Wood {
  @IsInt()
  eggs: number;
}

class Root {
  @IsText(1, 4)
  name: string;

  @Optional()
  @IsArray()
  @ArrayMinSize(1)
  @ArrayUnique()
  @HasForm(/^[a-z]$/, 'a lower-case letter', { each: true })
  marks?: string[];

  @Optional()
  @IsInt()
  @Min(1)
  @Max(9)
  size?: number;

  @Optional()
  @IsArray()
  @IsString({ each: true })
  @MaxLength(4, { each: true })
  words?: string[];

  @Optional()
  @Nested(() => Branch)
  branch?: Branch;

  @Optional()
  @Nested(() => Nest)
  nest?: Nest;
}

const pipe = createValidationPipe();
const validate = (body: unknown): Promise<unknown> => pipe.transform(body, { type: 'body', metatype: Root }) as never;

/** Lists the pointers of the wrong members, in order. */
async function listPointers(body: unknown): Promise<string[]> {
  const problem = (await validate(body).catch((error: unknown) => error)) as Problem;
  expect(problem).toMatchObject({ slug: 'request-malformed' });
  return [...new Set(problem.members.invalid?.map(({ pointer }) => pointer))].sort();
}

describe('strict validation', () => {
  it('returns instances of the classes, including nested ones', async () => {
    const body = { name: 'a', branch: { count: 1, leaf: { 'a~b/c': 'x' } }, nest: { eggs: 2, leaf: { 'a~b/c': 'y' } } };
    const root = (await validate(body)) as Root;
    const parts = [root, root.branch, root.branch?.leaf, root.nest, root.nest?.leaf];
    expect(parts.map((part) => part?.constructor)).toEqual([Root, Branch, Leaf, Nest, Leaf]);
    expect(JSON.parse(JSON.stringify(root))).toEqual(body);
  });

  it('drops undeclared members only where a browser writes the object', async () => {
    const { nest } = (await validate({ name: 'a', nest: { eggs: 2, feathers: 9, prototype: 1 } })) as Root;
    expect(Object.entries(nest!)).toEqual([['eggs', 2]]);
    expect(await listPointers({ name: 'a', nest: { eggs: 2, leaf: { 'a~b/c': 'x', stem: 1 } } })).toEqual([
      '/nest/leaf/stem',
    ]);
  });

  it('does not let a member with an inherited name change a prototype or a check', async () => {
    const foul = '"__proto__": {"size": 3}, "constructor": 1, "toString": 1, "hasOwnProperty": 1';
    const root = (await validate(JSON.parse(`{"name": "a", ${foul}}`))) as Root;
    expect(Object.entries(root)).toEqual([['name', 'a']]);
    expect([root.size, Object.getPrototypeOf(root)]).toEqual([undefined, Root.prototype]);
  });

  it.each<[string, unknown, string[]]>([
    ['a member that is wrong', { name: 1 }, ['/name']],
    ['one that is missing', {}, ['/name']],
    ['each of several', { name: '', branch: { count: 'x' } }, ['/branch/count', '/name']],
    ['one of an inner object', { name: 'a', branch: { count: 1.5 } }, ['/branch/count']],
    [
      'one of an object deep inside',
      { name: 'a', branch: { count: 1, leaf: { 'a~b/c': 1 } } },
      ['/branch/leaf/a~0b~1c'],
    ],
    ['an object that is a list', { name: 'a', branch: [] }, ['/branch']],
    [
      'an object that is a list of such objects',
      { name: 'a', branch: [{ count: 1 }, { count: 'x' }, 7] },
      ['/branch', '/branch/1/count', '/branch/2'],
    ],
    ['an object that is a text', { name: 'a', branch: 'x' }, ['/branch']],
    ['an object that is null', { name: 'a', branch: null }, ['/branch']],
    ['a list that is an object', { name: 'a', marks: { a: 'a' } }, ['/marks']],
    ['an unknown member', { name: 'a', nmae: 1 }, ['/nmae']],
    ['an unknown nested member', { name: 'a', branch: { count: 1, cuont: 1 } }, ['/branch/cuont']],
    ['one with a name to be escaped', { name: 'a', 'x/y~z': 1 }, ['/x~1y~0z']],
    ['one named prototype', { name: 'a', prototype: 1 }, ['/prototype']],
    ['one with the name of a symbol', { name: 'a', '': 1 }, ['/']],
  ])('names %s by its JSON pointer', async (_, body, pointers) => {
    expect(await listPointers(body)).toEqual(pointers);
  });

  it.each([null, undefined, [], [{}], 'text', 7, true])('refuses a body that is %p', async (body) => {
    const invalid = [{ pointer: '', detail: 'the body must be a JSON object' }];
    const problem = { slug: 'request-malformed', members: { invalid } };
    await expect(validate(body)).rejects.toMatchObject(problem);
    // Nothing that this class demands is missing.
    const metatype = class Free extends Wood {};
    await expect(pipe.transform(body, { type: 'body', metatype })).rejects.toMatchObject(problem);
  });

  const wrong = async (body: object) =>
    ((await validate({ name: 'a', ...body }).catch((error: unknown) => error)) as Problem).members.invalid;

  it.each<[string, object, string]>([
    ['a text for a list', { marks: 'x' }, 'marks must be an array'],
    ['null for a list', { marks: null }, 'marks must be an array'],
    ['a text for an object', { branch: 'x' }, 'branch must be an object'],
    ['null for an object', { branch: null }, 'branch must be an object'],
    ['a text for a number', { size: 'x' }, 'size must be an integer number'],
    ['a number for a text in a list', { words: [7] }, 'words[0] must be a string'],
  ])('reports only the expected type for %s', async (_, body, detail) => {
    expect((await wrong(body))?.map((mistake) => mistake.detail)).toEqual([detail]);
  });

  describe('of a list', () => {
    it('names each wrong element by its index', async () => {
      const detail = (index: number): string => `marks[${String(index)}] must be a lower-case letter`;
      const mistakes = [1, 3, 4].map((index) => ({ pointer: `/marks/${String(index)}`, detail: detail(index) }));
      expect(await wrong({ marks: ['a', 'tool', 'b', 7, 'A'] })).toEqual(mistakes);
    });

    it('names a repeated element by its second index', async () => {
      expect(await wrong({ marks: ['a', 'b', 'a'] })).toEqual([
        { pointer: '/marks/2', detail: 'marks[2] repeats an earlier value' },
      ]);
    });

    it('lists at most eight wrong elements, so that they cannot fill the answer', async () => {
      expect(await wrong({ marks: Array.from({ length: 500 }, (_, index) => index) })).toHaveLength(8);
    });

    it('reports a mistake of the whole list at the list', async () => {
      expect(await wrong({ marks: [] })).toEqual([
        { pointer: '/marks', detail: expect.stringContaining('at least 1') },
      ]);
    });
  });

  it('describes in words the form of a text, because no request class has a bare pattern', () => {
    const files = globSync('src/**/*.ts').filter((file) =>
      /^import \{[^}]*\bMatches\b/m.test(readFileSync(file, 'utf8')),
    );
    expect(files).toEqual(['src/http/validators.ts']);
  });

  it('refuses an absent body', async () => {
    await expect(validate(undefined)).rejects.toMatchObject({ slug: 'request-malformed' });
  });

  it('does not repeat the input in the answer, because it may be a secret', async () => {
    const problem = await validate({ name: 'a', branch: { count: 'secret-value' } }).catch((error: unknown) => error);
    expect(JSON.stringify(problem)).not.toContain('secret-value');
  });

  it('keeps its answer short when a member has a name of 60,000 characters', async () => {
    const problem = await validate({ name: 'a', ['x'.repeat(60_000)]: 1 }).catch((error: unknown) => error);
    expect(JSON.stringify((problem as Problem).members).length).toBeLessThan(1_000);
  });

  it('reports members of the contract, not properties of classes', async () => {
    const problem = (await validate({ name: 'a', extra: 1 }).catch((error: unknown) => error)) as Problem;
    expect(problem.members.invalid).toEqual([{ pointer: '/extra', detail: 'is not a member of the contract' }]);
  });
});
