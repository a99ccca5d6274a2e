import type { PooledTcpServerOptions } from '../../lib/index.js';
import { AppProcess } from './app-process.js';

type EchoProcess = AppProcess<{ port: number }>;

/** What a server of the fleet is. */
export interface FleetServer {
  /** Of ours; a stock server knows none of them. */
  readonly options?: PooledTcpServerOptions;
  /** Under which transport: ours by default. */
  readonly kind?: 'ours' | 'stock';
}

/** Servers in processes of their own, each of which keeps its port when it is started again. */
export class ServerFleet {
  readonly #servers: EchoProcess[] = [];
  readonly #onLine: (tag: string) => void;
  readonly #first: FleetServer;

  private constructor(onLine: (tag: string) => void, first: FleetServer) {
    this.#onLine = onLine;
    this.#first = first;
  }

  /** @param onLine gets the tag of every call that a handler saw */
  static async start(
    count: number,
    onLine: (tag: string) => void,
    options: PooledTcpServerOptions = {},
    kind: 'ours' | 'stock' = 'ours',
  ): Promise<ServerFleet> {
    const fleet = new ServerFleet(onLine, { options, kind });
    fleet.#servers.push(...(await Promise.all(Array.from({ length: count }, () => fleet.#boot(fleet.#first)))));
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

  /** SIGTERM, until it has drained and exited; then it is started again where it was, as it was or as another. */
  async restart(i: number, as: FleetServer = this.#first): Promise<void> {
    const server = this.at(i);
    const { port } = server.ready;
    server.signal('SIGTERM');
    await server.exited;
    this.#servers[i] = await this.#boot(as, port);
  }

  /** Ends them all; resolves when everything they wrote has been read. */
  async kill(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.kill()));
  }

  #boot({ options, kind = 'ours' }: FleetServer, port = 0): Promise<EchoProcess> {
    return AppProcess.start({
      app: 'echo-service',
      args: [JSON.stringify({ ...options, port }), kind],
      onLine: this.#onLine,
    });
  }
}
