import type { LoggerService } from '@nestjs/common';
import type { FromChild } from './messages.js';

/** Runs a service until whoever started it lets go of it, or, alone, until Ctrl-C. */
export async function runService(
  boot: () => Promise<{ readonly app: { close(): Promise<void> }; readonly address: string }>,
): Promise<void> {
  try {
    const { app, address } = await boot();
    const stop = (): void => void app.close().then(() => process.exit(0));
    process.once('disconnect', stop);
    // The launcher may have let go while this was starting.
    if (process.send !== undefined && !process.connected) stop();
    if (!tell({ type: 'ready', address })) console.log(`listening on ${address}`);
  } catch (error) {
    const message = describe(error);
    if (!tell({ type: 'failed', message })) console.error(message);
    process.exitCode = 1;
    if (process.connected) process.disconnect();
  }
}

/** @returns whether there is a launcher */
export function tell(message: FromChild): boolean {
  if (process.send === undefined || !process.connected) return false;
  process.send(message);
  return true;
}

/** What went wrong, and why, down to the first cause. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as Error & { readonly code?: unknown };
  return typeof code === 'string' ? `${error.message} (${code})` : error.message;
}

/** Shows what this sample and the library have to say, and what goes wrong. */
export class BriefLogger implements LoggerService {
  log(message: unknown, context?: string): void {
    if (context?.startsWith('PooledTcp') === true) console.log(`[${context}] ${String(message)}`);
  }

  warn(message: unknown, context?: string): void {
    console.log(`[${context ?? ''}] ${String(message)}`);
  }

  error(message: unknown): void {
    console.error(message instanceof Error ? message.message : String(message));
  }
}
