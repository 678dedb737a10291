import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type FileListener, WatchedFiles } from '../../src/config/watched-files.js';

/** Two watched files that belong together: they are valid when their contents are equal. Both begin with `1`. */
export class FilePair {
  /** The number of times that the files were read. */
  readings = 0;
  /** If set, a read fails with this fault of the disk. */
  fault: string | undefined;
  /** The reports so far. */
  readonly reported: string[] = [];
  /** The names of the changed files in each report of a reload. */
  readonly changed: string[][] = [];
  readonly reports: FileListener<string> = {
    onReloaded: (value, previous, changed) => {
      this.reported.push(`${previous} → ${value}`);
      this.changed.push(changed.map((path) => basename(path)));
    },
    onRefused: (reason) => void this.reported.push(`refused: ${reason}`),
  };
  private readonly opened: WatchedFiles<string>[] = [];

  private constructor(readonly directory: string) {}

  static async create(): Promise<FilePair> {
    const pair = new FilePair(await mkdtemp(join(tmpdir(), 'passkey-manager-watched-')));
    await pair.writeBoth('1');
    return pair;
  }

  get paths(): string[] {
    return [this.path('a'), this.path('b')];
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, content: string): Promise<void> {
    return writeFile(this.path(name), content);
  }

  async writeBoth(content: string): Promise<void> {
    await this.write('a', content);
    await this.write('b', content);
  }

  async read(held: string | undefined): Promise<string> {
    this.readings += 1;
    if (this.fault !== undefined) throw new Error(this.fault);
    const [a = '', b = ''] = await Promise.all(this.paths.map((file) => readFile(file, 'utf8')));
    if (a !== b) throw new Error(`${a} is not ${b}`);
    return a === held ? held : a;
  }

  async open(read = this.read.bind(this), rest?: () => Promise<void>): Promise<WatchedFiles<string>> {
    const files = await WatchedFiles.open(this.paths, read, rest);
    this.opened.push(files);
    return files;
  }

  async look(files: WatchedFiles<string>, times = 1): Promise<void> {
    for (let looks = 0; looks < times; looks += 1) await files.checkFiles(this.reports);
  }

  async remove(): Promise<void> {
    for (const files of this.opened) await files.close();
    await rm(this.directory, { recursive: true });
  }
}
