import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError, type ChildService } from './child-service.js';
import { count, ms, poolTable, table } from './format.js';
import type { BurstReport, FromService } from './messages.js';
import type { DemoOptions } from './options.js';
import type { Screen } from './screen.js';
import type { Stage } from './stage.js';

const RPC_SERVICE = new URL('../rpc-service/main.js', import.meta.url);
const GATEWAY = new URL('../gateway/main.js', import.meta.url);
const CONCURRENCY = 256;
/** Long enough to look at `/health` meanwhile. */
const RESTART_AFTER_MS = 10_000;

/** The demonstration, scene by scene. Resolves after the burst with `once`, otherwise serves for ever. */
export class Play {
  readonly #screen: Screen;
  readonly #stage: Stage;
  readonly #options: DemoOptions;
  readonly #signal: AbortSignal;
  #onProgress: (done: number) => void = () => {};
  #isServing = false;

  constructor(screen: Screen, stage: Stage, options: DemoOptions, signal: AbortSignal) {
    this.#screen = screen;
    this.#stage = stage;
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const screen = this.#screen;
    screen.title('nestjs-pooled-tcp', 'Two Nest services in two processes, one pool of TCP connections, no broker.');

    screen.heading('1  Boot: the pool is warm before the first request');
    const rpc = await this.#startRpcService('0');
    const { gateway, url } = await this.#startGateway(rpc.address);

    screen.heading('2  Every kind of handler');
    const { examples } = await gateway.ask({ type: 'examples' });
    for (const row of table(examples.map(({ handler, call, outcome }) => [handler, call, outcome]))) screen.line(row);

    screen.heading(`3  A burst: ${count(this.#options.calls)} calls, ${CONCURRENCY} in flight at a time`);
    await this.#burst(gateway);
    if (this.#options.once) return;

    screen.heading('4  Your turn');
    this.#invite(url, rpc.service);
    this.#isServing = true;
    await this.#keepUp(rpc.service, rpc.address);
  }

  /** What a service says unasked. */
  onMessage(message: FromService): void {
    if (message.type === 'progress') this.#onProgress(message.done);
    if (message.type === 'pool' && this.#isServing) {
      const { name, status } = message;
      if (status === 'connected') this.#screen.good(`pool '${name}' is connected again: /health answers 200`);
      else this.#screen.bad(`pool '${name}' has no connection left: /health answers 503`);
    }
  }

  async #startRpcService(port: string): Promise<{ service: ChildService; address: string }> {
    const startedAt = performance.now();
    const service = this.#stage.start('rpc-service', RPC_SERVICE, { RPC_PORT: port });
    const { address } = await service.next('ready');
    this.#screen.good(
      `rpc-service listens on ${address} (pid ${service.pid}, up in ${ms(performance.now() - startedAt)})`,
    );
    return { service, address };
  }

  async #startGateway(rpcAddress: string): Promise<{ gateway: ChildService; url: string }> {
    const startedAt = performance.now();
    const gateway = this.#stage.start('gateway', GATEWAY, {
      RPC_ADDRESS: rpcAddress,
      PORT: String(this.#options.port),
    });
    const { address: url } = await gateway.next('ready');
    this.#screen.good(`gateway serves ${url} (pid ${gateway.pid}, up in ${ms(performance.now() - startedAt)})`);
    return { gateway, url };
  }

  async #burst(gateway: ChildService): Promise<void> {
    const progress = this.#screen.progress(this.#options.calls);
    this.#onProgress = (done) => {
      progress.update(done);
    };
    const { report } = await gateway.ask({ type: 'burst', calls: this.#options.calls, concurrency: CONCURRENCY });
    progress.stop();
    this.#show(report);
    if (report.failed > 0)
      throw new ServiceError(
        `${count(report.failed)} of ${count(report.calls)} calls failed, the first with: ${report.error ?? ''}`,
      );
  }

  #show({ calls, failed, elapsedMs, latency, pool }: BurstReport): void {
    const { bold } = this.#screen.colors;
    const rate = bold(`${count((calls / elapsedMs) * 1_000)} calls/s`);
    if (failed === 0) this.#screen.good(`${count(calls)} answers, each of them checked, in ${ms(elapsedMs)}: ${rate}`);
    const { p50, p90, p99, max } = latency;
    this.#screen.line(`latency   p50 ${ms(p50)}   p90 ${ms(p90)}   p99 ${ms(p99)}   max ${ms(max)}`);
    this.#screen.line();
    const [head = '', ...rows] = poolTable({ before: pool.before, 'half-way': pool.halfway, after: pool.after });
    this.#screen.dim(head);
    for (const row of rows) this.#screen.line(row);
  }

  #invite(url: string, rpc: ChildService): void {
    const { dim } = this.#screen.colors;
    const rows = table([
      [`curl '${url}/sum?n=1&n=2'`, 'a call through the pool'],
      [`curl -N '${url}/countdown?from=5'`, 'a stream'],
      [`curl ${url}/health`, 'what terminus says of the pool'],
      [`curl ${url}/pool`, 'what the pool says of itself'],
      [`kill -9 ${rpc.pid}`, 'end the RPC service, then look at /health'],
    ]);
    for (const row of rows) this.#screen.line(row.replace(/(?<= {3})\S.*$/, dim));
    this.#screen.line();
    this.#screen.dim('Ctrl-C drains both services and ends.');
  }

  /** Serves; an RPC service that dies comes back on its port, so that the pool can be seen to recover. */
  async #keepUp(rpc: ChildService, address: string): Promise<never> {
    for (;;) {
      const how = await this.#stage.watch(rpc);
      if (this.#signal.aborted) return new Promise<never>(() => {});
      this.#screen.line();
      this.#screen.bad(`rpc-service (pid ${rpc.pid}) ${how ?? 'ended'}; back in ${RESTART_AFTER_MS / 1_000} s`);
      await delay(RESTART_AFTER_MS, undefined, { signal: this.#signal });
      rpc = (await this.#startRpcService(portOf(address))).service;
    }
  }
}

function portOf(address: string): string {
  return address.slice(address.lastIndexOf(':') + 1);
}
