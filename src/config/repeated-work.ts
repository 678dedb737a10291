/** Work that a process repeats in the background. It never runs twice at once, and a failure does not end it. */
export class RepeatedWork {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly run: () => Promise<void>,
    private readonly onFailure: (error: unknown) => void,
  ) {}

  begin(intervalMs: number): void {
    this.timer = setInterval(() => {
      this.running = this.running.then(this.run).catch(this.onFailure);
    }, intervalMs).unref();
  }

  /** Waits for what is under way. */
  async end(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }
}
