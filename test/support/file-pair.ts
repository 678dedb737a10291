import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FileListener, WatchedFiles } from '../../src/config/watched-files.js';

/** Two files that belong together: they are of use when they say the same, which is `1` at first. */
export class FilePair {
  /** How often they were read. */
  readings = 0;
  /** Does not say what the files hold, but that the disk is at fault. */
  fault: string | undefined;
  /** What was reported. */
  readonly told: string[] = [];
  readonly reports: FileListener<string> = {
    onReloaded: (value, previous) => void this.told.push(`${previous} → ${value}`),
    onRefused: (reason) => void this.told.push(`refused: ${reason}`),
  };
  private readonly opened: WatchedFiles<string>[] = [];

  private constructor(readonly directory: string) {}

  static async create(): Promise<FilePair> {
    const pair = new FilePair(await mkdtemp(join(tmpdir(), 'passkey-manager-watched-')));
    await pair.bothSay('1');
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

  async bothSay(content: string): Promise<void> {
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

  async open(read = this.read.bind(this)): Promise<WatchedFiles<string>> {
    const files = await WatchedFiles.open(this.paths, read);
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
