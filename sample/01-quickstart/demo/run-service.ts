import type { FromService } from './messages.js';

export interface Service {
  readonly app: { close(): Promise<void> };
  /** Where it listens. */
  readonly address: string;
}

/**
 * Runs a service by itself, or as a child of the launcher. The channel to the launcher is a lifeline: when it
 * closes, because the launcher wants an end or has met its own, the service drains and ends.
 */
export async function runService(boot: () => Promise<Service>): Promise<void> {
  if (isAbandoned()) return;
  process.once('disconnect', exit);
  try {
    const { app, address } = await boot();
    process.off('disconnect', exit);
    process.once('disconnect', () => void app.close());
    if (!tell({ type: 'ready', address })) console.log(`listening on ${address}`);
  } catch (error) {
    const message = explain(error);
    if (!tell({ type: 'failed', message }, () => process.exit(1))) {
      console.error(message);
      process.exit(1);
    }
  }
}

/** Tells the launcher, where there is one. */
export function tell(message: FromService, sent: () => void = () => {}): boolean {
  if (process.send === undefined || !process.connected) return false;
  process.send(message, undefined, undefined, sent);
  return true;
}

/** Whether the launcher ended while this process was starting. */
function isAbandoned(): boolean {
  return process.send !== undefined && !process.connected;
}

function exit(): void {
  process.exit(0);
}

function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, port } = error as Error & { code?: string; port?: number };
  if (code === 'EADDRINUSE' && port !== undefined) {
    return [
      `port ${port} of 127.0.0.1 is already in use by another program.`,
      `Choose another:  npm start -- --port ${port + 1}   or   PORT=${port + 1} npm start   (port 0 finds a free one)`,
    ].join('\n');
  }
  if (code === 'EACCES' && port !== undefined) {
    return `port ${port} needs a privilege this user has not; choose one above 1023:  npm start -- --port 3000`;
  }
  return code === undefined ? (error.stack ?? error.message) : `${error.message} (${code})`;
}
