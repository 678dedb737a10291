import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Files = Readonly<Record<string, string>>;

/** The parts of a pod's specification that Docker can follow. */
export interface PodSpec {
  readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number; readonly fsGroup: number };
  readonly containers: readonly {
    readonly image: string;
    readonly command?: readonly string[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
    readonly resources: { readonly limits: { readonly memory: string } };
    readonly securityContext: {
      readonly allowPrivilegeEscalation: boolean;
      readonly readOnlyRootFilesystem: boolean;
      readonly capabilities: { readonly drop: readonly string[] };
    };
  }[];
  readonly volumes: readonly {
    readonly name: string;
    readonly secret?: { readonly secretName: string; readonly defaultMode: number };
    readonly configMap?: { readonly name: string };
  }[];
}

export async function docker(...args: string[]): Promise<string> {
  const { stdout, stderr } = await run('docker', args);
  return stdout + stderr;
}

/** The volumes of Secrets and ConfigMaps, laid out as the kubelet does: each file leads through `..data`. */
export class Volumes {
  readonly #directory: string;
  readonly #group: number;

  constructor(directory: string, group: number) {
    this.#directory = directory;
    this.#group = group;
  }

  path(object: string): string {
    return join(this.#directory, object);
  }

  /** Replaces all files at once. */
  write(object: string, files: Files, mode = 0o644): void {
    const home = this.path(object);
    const data = `..${randomUUID()}`;
    mkdirSync(join(home, data), { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      const path = join(home, data, name);
      writeFileSync(path, content);
      chmodSync(path, mode);
      chownSync(path, 0, this.#group);
    }
    symlinkSync(data, join(home, '..new'));
    renameSync(join(home, '..new'), join(home, '..data'));
    const present = readdirSync(home);
    for (const name of Object.keys(files)) {
      if (!present.includes(name)) symlinkSync(`..data/${name}`, join(home, name));
    }
  }
}

/**
 * The arguments of `docker run` for the first container of a pod. It gets the network of this machine, where the database is.
 *
 * @param env further variables, which win
 */
export function toDockerArguments(pod: PodSpec, volumes: Volumes, env: Files = {}): string[] {
  const { runAsUser, runAsGroup } = pod.securityContext;
  const [container] = pod.containers;
  if (!container) throw new Error('The pod has no container');
  const { readOnlyRootFilesystem, allowPrivilegeEscalation, capabilities } = container.securityContext;
  const variables = { ...Object.fromEntries(container.env.map(({ name, value }) => [name, value])), ...env };
  const mounts = container.volumeMounts.map(({ name, mountPath }) => {
    const volume = pod.volumes.find((it) => it.name === name);
    const object = volume?.secret?.secretName ?? volume?.configMap?.name;
    if (object === undefined) throw new Error(`${name} is neither a Secret nor a ConfigMap`);
    return `--volume=${volumes.path(object)}:${mountPath}:ro`;
  });
  return [
    '--network=host',
    `--user=${String(runAsUser)}:${String(runAsGroup)}`,
    `--memory=${container.resources.limits.memory.replace('i', '')}`,
    ...(readOnlyRootFilesystem ? ['--read-only'] : []),
    ...(allowPrivilegeEscalation ? [] : ['--security-opt=no-new-privileges']),
    ...capabilities.drop.map((capability) => `--cap-drop=${capability}`),
    ...mounts,
    ...Object.entries(variables).map(([name, value]) => `--env=${name}=${value}`),
    container.image,
    ...(container.command ?? []),
  ];
}
