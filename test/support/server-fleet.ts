import type { PooledTcpServerOptions } from '../../lib/index.js';
import { AppProcess } from './app-process.js';

type EchoProcess = AppProcess<{ port: number }>;

/** Servers in processes of their own, each of which keeps its port when it is started again. */
export class ServerFleet {
  readonly #servers: EchoProcess[] = [];
  readonly #onLine: (tag: string) => void;
  readonly #options: PooledTcpServerOptions;

  private constructor(onLine: (tag: string) => void, options: PooledTcpServerOptions) {
    this.#onLine = onLine;
    this.#options = options;
  }

  /** @param onLine gets the tag of every call that a handler saw */
  static async start(
    count: number,
    onLine: (tag: string) => void,
    options: PooledTcpServerOptions = {},
  ): Promise<ServerFleet> {
    const fleet = new ServerFleet(onLine, options);
    fleet.#servers.push(...(await Promise.all(Array.from({ length: count }, () => fleet.#boot()))));
    return fleet;
  }

  get addresses(): readonly string[] {
    return this.#servers.map(({ ready }) => `127.0.0.1:${ready.port}`);
  }

  get size(): number {
    return this.#servers.length;
  }

  at(i: number): EchoProcess {
    const server = this.#servers[i];
    if (server === undefined) throw new Error(`the fleet has no server ${i}`);
    return server;
  }

  /** SIGTERM, until it has drained and exited; then it is started again where it was. */
  async restart(i: number): Promise<void> {
    const server = this.at(i);
    const { port } = server.ready;
    server.signal('SIGTERM');
    await server.exited;
    this.#servers[i] = await this.#boot(port);
  }

  /** Ends them all; resolves when everything they wrote has been read. */
  async kill(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
  }

  #boot(port = 0): Promise<EchoProcess> {
    return AppProcess.start({
      app: 'echo-service',
      args: [JSON.stringify({ ...this.#options, port })],
      onLine: this.#onLine,
    });
  }
}
