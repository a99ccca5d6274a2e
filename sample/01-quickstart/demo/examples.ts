import { firstValueFrom, lastValueFrom, timeout, toArray } from 'rxjs';
import { PooledTcpError, type PooledTcpClient } from '../../../lib/index.js';
import type { Example } from './messages.js';

/** One call to each kind of handler of the RPC service. */
export async function examples(math: PooledTcpClient): Promise<readonly Example[]> {
  return [
    {
      handler: 'a value',
      call: "request('sum', [1, 2, 3])",
      outcome: show(await math.request('sum', [1, 2, 3])),
    },
    {
      handler: 'a promise',
      call: "request('square', 12)",
      outcome: show(await math.request('square', 12)),
    },
    {
      handler: 'a stream',
      call: "send('countdown', { from: 3, … })",
      outcome: (await lastValueFrom(math.send('countdown', { from: 3, everyMs: 20 }).pipe(toArray()))).join(', '),
    },
    {
      handler: 'an event',
      call: "emit('visited', { by: 'you' })",
      outcome: `the server pushes back ${show(await visit(math))}`,
    },
    {
      handler: 'an exception',
      call: "request('divide', [1, 0])",
      outcome: await failureOf(math.request('divide', [1, 0])),
    },
  ];
}

async function visit(math: PooledTcpClient): Promise<string> {
  const greeting = firstValueFrom(math.pushes<string>('greeting').pipe(timeout(1_000)));
  await lastValueFrom(math.emit('visited', { by: 'you' }), { defaultValue: undefined });
  return greeting;
}

async function failureOf(call: Promise<unknown>): Promise<string> {
  try {
    return show(await call);
  } catch (error) {
    if (!(error instanceof PooledTcpError)) throw error;
    return `${error.code}: ${error.message}`;
  }
}

function show(value: unknown): string {
  return JSON.stringify(value);
}
