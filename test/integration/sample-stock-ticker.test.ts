import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { PooledTcpContext, PooledTcpServer } from '../../lib/index.js';
import { quoteOf } from '../../sample/03-stock-ticker/market.js';
import { QuoteServerModule } from '../../sample/03-stock-ticker/quote-server/quote-server.module.js';
import { ViewerModule } from '../../sample/03-stock-ticker/viewer/viewer.module.js';
import { Watcher } from '../../sample/03-stock-ticker/viewer/watcher.js';
import { WatchersService } from '../../sample/03-stock-ticker/viewer/watchers.service.js';
import { Scope } from '../support/nest-app.js';
import { until } from '../support/sockets.js';

const ROOT = join(import.meta.dirname, '../..');
const TYPESCRIPT = join(ROOT, 'test/support/apps/typescript.mjs');
const MAIN = join(ROOT, 'sample/03-stock-ticker/main.ts');

/** Runs the sample as its script does. */
async function play(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
}

describe('sample 03-stock-ticker', () => {
  const scope = new Scope();

  it('kills a server, and no client sees a price go backwards or misses one', async () => {
    const { code, output } = await play('--once', '--clients', '8');

    expect(output).toMatch(/kill -9 \d+: server-\d is gone, and with it the source of [1-9]\d* subscriptions/);
    expect(output).toMatch(/✓ 8 clients checked [\d,]+ prices: 0 went backwards, 0 missed, 0 wrong/);
    expect(code).toBe(0);
  }, 60_000);

  it('says how it is used', async () => {
    expect(await play('--help')).toMatchObject({ code: 0, output: expect.stringContaining('npm run sample:03') });
    expect(await play('--clients', 'many')).toMatchObject({
      code: 2,
      output: expect.stringContaining('--clients (many) must be a whole number from 1 to 1000'),
    });
  }, 30_000);

  it('would notice a price that goes backwards, one that is missing, and one that is wrong', async () => {
    @Controller()
    class BadServer {
      @MessagePattern('quotes.subscribe')
      subscribe(@Ctx() context: PooledTcpContext): void {
        const session = context.getSession();
        if (session.tags.has('told')) return;
        session.tag('told');
        for (const seq of [1, 2, 2, 1, 5]) session.push('quote:ACME', quoteOf('ACME', seq));
        session.push('quote:ACME', { ...quoteOf('ACME', 6), price: -1 });
      }
    }
    const { port } = await scope.server([BadServer]);
    const watcher = new Watcher(scope.client(port, { pool: { min: 1, max: 1 } }), false);
    watcher.start((error) => {
      throw error;
    });

    await until(() => watcher.sight.quotes === 6);

    // After 1, 2: again 2, back to 1, on to 5 without 2 to 4, and 6 at another price than that of the exchange.
    expect(watcher.sight).toMatchObject({ quotes: 6, backwards: 2, missed: 3, wrong: 1 });
    watcher.stop();
  });

  it('shows the prices on a page, as they come', async () => {
    const strategy = new PooledTcpServer({ host: '127.0.0.1', port: 0 });
    const tape = { name: 'server-1', epoch: Date.now() - 1_000, lagMs: 0, tickMs: 5 };
    const server = await NestFactory.createMicroservice(QuoteServerModule.register(strategy, tape), {
      strategy,
      logger: false,
    });
    scope.defer(() => server.close());
    await server.listen();
    const endpoints = [strategy.stats().address ?? ''];
    const app = await NestFactory.create(ViewerModule.register({ endpoints, clients: 2, resumes: true }), {
      logger: false,
      abortOnError: false,
    });
    scope.defer(() => app.close());
    await app.listen(0, '127.0.0.1');
    const url = await app.getUrl();

    expect(await (await fetch(url)).text()).toContain('new EventSource');
    const abort = new AbortController();
    const events = await fetch(`${url}/events`, { signal: abort.signal });
    let text = '';
    if (events.body === null) throw new Error('no events');
    for await (const chunk of events.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('event: state') && text.includes('event: quotes') && text.includes('server-1')) break;
    }
    abort.abort();

    expect(text).toMatch(/data: \[\{"symbol":"ACME","seq":\d+,"price":[\d.]+\}/);
    expect(text).toContain('"clients":2');
    expect(app.get(WatchersService).verdict()).toMatchObject({ backwards: 0, missed: 0, wrong: 0, opened: 8 });
  });
});
