import { cpSync, mkdirSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The ways in which an operator replaces files of a running service. */
export const DELIVERIES = ['in place', 'by rename', 'by directory swap'] as const;
export type Delivery = (typeof DELIVERIES)[number];

/**
 * A directory like a secret that Kubernetes mounts: each name is a link to `..data/NAME`, and `..data` is a link to the
 * current version.
 */
export class Mount {
  readonly directory: string;
  private version = 0;

  constructor(directory: string, files: Record<string, string>) {
    this.directory = directory;
    mkdirSync(join(directory, '..0'), { recursive: true });
    symlinkSync('..0', join(directory, '..data'));
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(join(directory, '..0', name), content);
      symlinkSync(join('..data', name), this.path(name));
    }
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  replace(files: Record<string, string>, delivery: Delivery): void {
    if (delivery === 'by directory swap') {
      this.swap(files);
      return;
    }
    for (const [name, content] of Object.entries(files)) {
      const path = realpathSync(this.path(name));
      const written = delivery === 'in place' ? path : `${path}.new`;
      writeFileSync(written, content);
      if (written !== path) renameSync(written, path);
    }
  }

  private swap(files: Record<string, string>): void {
    const [before, after] = [`..${String(this.version)}`, `..${String((this.version += 1))}`];
    cpSync(join(this.directory, before), join(this.directory, after), { recursive: true });
    for (const [name, content] of Object.entries(files)) writeFileSync(join(this.directory, after, name), content);
    symlinkSync(after, join(this.directory, '..data_tmp'));
    renameSync(join(this.directory, '..data_tmp'), join(this.directory, '..data'));
    rmSync(join(this.directory, before), { recursive: true });
  }
}
