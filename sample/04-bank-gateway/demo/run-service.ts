/** What a service tells the launcher: where it listens, or why it does not. */
export type FromService =
  { readonly type: 'ready'; readonly address: string } | { readonly type: 'failed'; readonly message: string };

export interface Service {
  readonly app: { close(): Promise<void> };
  /** Where it listens. */
  readonly address: string;
}

/** Runs a service by itself, or as a child of the launcher: then it drains and ends when the channel to it closes. */
export async function runService(boot: () => Promise<Service>): Promise<void> {
  // The launcher has ended while this process was starting.
  if (process.send !== undefined && !process.connected) return;
  process.once('disconnect', exit);
  try {
    const { app, address } = await boot();
    process.off('disconnect', exit);
    process.once('disconnect', () => void app.close());
    if (!tell({ type: 'ready', address })) console.log(`listening on ${address}`);
  } catch (error) {
    const message = explain(error);
    if (!tell({ type: 'failed', message })) console.error(message);
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  }
}

function tell(message: FromService): boolean {
  if (process.send === undefined || !process.connected) return false;
  process.send(message);
  return true;
}

function exit(): void {
  process.exit();
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port } = error as Error & { code?: string; port?: number };
  if (code === 'EADDRINUSE' && port !== undefined)
    return `port ${port} is in use by another program; choose another with --port`;
  return code === undefined ? (error.stack ?? error.message) : `${error.message} (${code})`;
}
