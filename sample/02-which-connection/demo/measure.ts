import { FaultProxy } from '../../../lib/testing/index.js';
import { WAY_NAMES, type Way } from '../ways.js';
import { Child } from './child.js';
import type { CallerReport, Load, Place, ServerPorts, ServerQuestion, ServerReport, Task } from './messages.js';
import type { DemoOptions } from './options.js';

/** What lies between the two. */
export const LINKS = ['plain TCP', 'TLS', '20 ms away'] as const;
export type Link = (typeof LINKS)[number];

/** Each way, so that a round trip takes 20 ms. */
const LATENCY_MS = 10;

/** One way over one link under one load. */
export interface Figures {
  readonly link: Link;
  readonly load: Load['kind'];
  readonly way: Way;
  readonly caller: CallerReport;
  readonly server: ServerReport;
}

/**
 * Measures every way over every link under both loads, one after another. Caller and server are processes of their own;
 * the proxy that is 20 ms wide runs in this one, so its work is on neither's account.
 */
export async function measureAll(
  { few, many, warmUp }: DemoOptions,
  onFigures: (figures: Figures) => void,
): Promise<readonly Figures[]> {
  const server = await Child.start<ServerPorts, ServerQuestion, ServerReport>('server');
  const caller = await Child.start<object, Task, CallerReport>('caller');
  const { plainPort, tlsPort } = server.ready;
  const proxy = await FaultProxy.listen({ target: { host: '127.0.0.1', port: plainPort } });
  proxy.set({ latencyMs: LATENCY_MS });
  const places: Readonly<Record<Link, Place>> = {
    'plain TCP': { port: plainPort, isTls: false },
    TLS: { port: tlsPort, isTls: true },
    '20 ms away': { port: proxy.port, isTls: false },
  };
  try {
    for (const way of WAY_NAMES) for (const link of LINKS) await caller.ask({ way, place: places[link], load: warmUp });
    const all: Figures[] = [];
    for (const link of LINKS) {
      for (const load of [few, many]) {
        for (const way of WAY_NAMES) {
          await server.ask({ ask: 'begin' });
          const report = await caller.ask({ way, place: places[link], load });
          const figures = { link, load: load.kind, way, caller: report, server: await server.ask({ ask: 'report' }) };
          all.push(figures);
          onFigures(figures);
        }
      }
    }
    return all;
  } finally {
    await caller.close();
    await proxy.close();
    await server.close();
  }
}
