import { Logger } from '@nestjs/common';
import { PooledTcpClient, PooledTcpError, type ClientStats, type PooledTcpClientOptions } from '../../../lib/index.js';

/** What became of the calls. */
export interface ShortCallsReport {
  readonly answered: number;
  /** Of the call that failed, after which there were no more; and of its cause. */
  readonly failures: readonly { readonly code: string; readonly message: string }[];
  readonly warnings: readonly string[];
  readonly stats: ClientStats;
}

/**
 * A client in a process of its own, on a host of its own: calls `echo` one time after another until one fails. The
 * first argument is its options, the second how many calls.
 */
const warnings: string[] = [];
Logger.overrideLogger({ log: () => {}, error: () => {}, warn: (message: string) => warnings.push(message) });

async function callUntilFailure(client: PooledTcpClient, calls: number): Promise<ShortCallsReport> {
  let answered = 0;
  let failure: unknown;
  while (answered < calls && failure === undefined) {
    try {
      await client.request('echo', { tag: String(answered) });
      answered += 1;
    } catch (error) {
      failure = error;
    }
  }
  const failures: { code: string; message: string }[] = [];
  for (let error = failure; error instanceof PooledTcpError; error = error.cause)
    failures.push({ code: error.code, message: error.message });
  return { answered, failures, warnings, stats: client.stats() };
}

process.on('disconnect', () => process.exit(0));
const [options = '{}', calls = '0'] = process.argv.slice(2);
const client = new PooledTcpClient(JSON.parse(options) as PooledTcpClientOptions);
await client.connect();
const report = await callUntilFailure(client, Number(calls));
await client.close();
process.send?.(report);
