import type { CpuProfile, ProfileNode } from './inspector.js';

/** A share of the profile: a function, a package or a folder. */
export interface Share {
  readonly name: string;
  /** Microseconds in the code itself, without its callees. */
  readonly self: number;
}

/** Sums the time by `nameOf` of its place, the most first. Omits the first sample, the profiler's start. */
export function breakdown(profile: CpuProfile, nameOf: (node: ProfileNode) => string): Share[] {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const times = new Map<string, number>();
  profile.samples.forEach((id, index) => {
    if (index === 0) return;
    const name = nameOf(nodes.get(id)!);
    times.set(name, (times.get(name) ?? 0) + Math.max(0, profile.timeDeltas[index] ?? 0));
  });
  return Array.from(times, ([name, self]) => ({ name, self })).sort((a, b) => b.self - a.self);
}

export function functionName({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.replace(/^.*\/node_modules\//, '').replace(/^.*\/dist\/src\//, 'src/');
  return `${functionName || '(anonymous)'}  ${file}${url ? `:${String(lineNumber + 1)}` : ''}`;
}

/** Names the package, or the folder for the service's own code. Native code has no address and counts for its caller. */
export function packageNames(profile: CpuProfile): (node: ProfileNode) => string {
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)),
  );
  const nameOf = (node: ProfileNode): string => {
    const { url, functionName } = node.callFrame;
    if (/^\((idle|program|garbage collector)\)$/.test(functionName)) return functionName;
    const dependency = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*\/node_modules\/)/.exec(url)?.[1];
    if (dependency) return dependency;
    const room = /\/dist\/src\/([^/]+)/.exec(url)?.[1];
    if (room) return `src/${room}`;
    const internal = /^node:(internal\/[^/]+|[^/]+)/.exec(url)?.[1];
    if (internal) return `node:${internal}`;
    const parent = parents.get(node.id);
    return parent && parent.callFrame.functionName !== '(root)' ? `native, for ${nameOf(parent)}` : '(program)';
  };
  return nameOf;
}
